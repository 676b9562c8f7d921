//! A network's weights by name: listing, safetensors on disk, and back.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, View};
use safetensors::{SafeTensors, serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use thiserror::Error;

/// Weights that cannot be read into a network.
#[derive(Debug, Error)]
pub enum WeightsError {
    #[error("the weights are not in safetensors format")]
    Format(#[source] safetensors::SafeTensorError),
    #[error("the weights lack `{name}`")]
    Missing { name: String },
    #[error("the weights hold `{name}` with shape {found:?}, but the network needs {expected:?}")]
    Shape { name: String, found: Vec<usize>, expected: Vec<usize> },
}

/// Collects the path of each parameter while a module is visited.
#[derive(Default)]
struct Collect {
    path: Vec<String>,
    found: Vec<(String, TensorData)>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.path.join("."), param.val().into_data()));
    }
}

fn collect<M: Module>(module: &M) -> Vec<(String, TensorData)> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    collect.found
}

/// Name, shape and number of values of each parameter.
pub fn list<M: Module>(module: &M) -> Vec<(String, String, usize)> {
    collect(module)
        .into_iter()
        .map(|(name, data)| {
            let sizes: Vec<String> = data.shape().iter().map(ToString::to_string).collect();
            let count = data.shape().iter().product();
            (name, sizes.join(" × "), count)
        })
        .collect()
}

/// Path and identity of each parameter.
pub fn names<M: Module>(module: &M) -> Vec<(String, ParamId)> {
    #[derive(Default)]
    struct Names(Vec<String>, Vec<(String, ParamId)>);
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.push((self.0.join("."), param.id));
        }
    }
    let mut names = Names::default();
    module.visit(&mut names);
    names.1
}

/// Writes a module's parameters in safetensors format, sorted by name, without time or path.
///
/// # Errors
/// If a parameter does not hold 32-bit numbers.
pub fn to_bytes<M: Module>(module: &M) -> Result<Vec<u8>, WeightsError> {
    tensors_to_bytes(collect(module))
}

/// Writes named tensors in safetensors format, sorted by name.
///
/// # Errors
/// If one does not hold 32-bit numbers.
pub fn tensors_to_bytes(tensors: Vec<(String, TensorData)>) -> Result<Vec<u8>, WeightsError> {
    let parameters = tensors.into_iter().map(|(name, data)| (name, Parameter(data.convert::<f32>())));
    serialize(parameters, None).map_err(WeightsError::Format)
}

/// A tensor of 32-bit numbers on its way into a file.
struct Parameter(TensorData);

impl View for Parameter {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if cfg!(target_endian = "little") {
            self.0.as_bytes().into()
        } else {
            self.0.iter::<f32>().flat_map(f32::to_le_bytes).collect()
        }
    }

    fn data_len(&self) -> usize {
        self.0.as_bytes().len()
    }
}

/// Reads named tensors of 32-bit numbers.
///
/// # Errors
/// If the bytes are not safetensors.
pub fn tensors_from_bytes(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f32>>, WeightsError> {
    let tensors = SafeTensors::deserialize(bytes).map_err(WeightsError::Format)?;
    Ok(tensors.iter().map(|(name, view)| (name.to_owned(), numbers(view.data()))).collect())
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Reads parameters in safetensors format into a module of the same shape.
///
/// # Errors
/// If the bytes are not safetensors, or a parameter is missing or has another shape.
pub fn from_bytes<M: Module>(module: M, bytes: &[u8]) -> Result<M, WeightsError> {
    let tensors = SafeTensors::deserialize(bytes).map_err(WeightsError::Format)?;
    let mut fill = Fill { path: Vec::new(), tensors, error: None };
    let module = module.map(&mut fill);
    match fill.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

struct Fill<'a> {
    path: Vec<String>,
    tensors: SafeTensors<'a>,
    error: Option<WeightsError>,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let Ok(view) = self.tensors.tensor(&name) else {
            self.error.get_or_insert(WeightsError::Missing { name });
            return param;
        };
        param.map(|tensor| {
            let expected = tensor.dims();
            if view.shape() != expected || view.dtype() != Dtype::F32 {
                let found = view.shape().to_vec();
                self.error.get_or_insert(WeightsError::Shape { name, found, expected: expected.to_vec() });
                return tensor;
            }
            Tensor::from_data(TensorData::new(numbers(view.data()), expected), &tensor.device())
                .set_require_grad(tensor.is_require_grad())
        })
    }
}
