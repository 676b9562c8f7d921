//! From Burn's CPU tensors to slices and back.

use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind, Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};
use std::borrow::Cow;

/// Whether the kernels apply: every tensor is `f32` and lives on `flex`, tracked or not.
pub(crate) fn applies(tensors: &[&DispatchTensor]) -> bool {
    tensors.iter().all(|tensor| {
        let kind = match &tensor.kind {
            DispatchTensorKind::Autodiff(inner) => inner.as_ref(),
            kind => kind,
        };
        // With `flex` as the only backend of a build every kind is this one.
        #[allow(irrefutable_let_patterns)]
        if let DispatchTensorKind::Flex(tensor) = kind {
            matches!(tensor, BackendTensor::Float(_) | BackendTensor::Autodiff(_))
                && tensor.dtype() == DType::F32
        } else {
            false
        }
    })
}

#[cfg(test)]
thread_local! {
    /// How many results of kernels this thread has wrapped in tensors.
    pub(crate) static WRAPPED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Wraps values in a tensor of the given shape.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    #[cfg(test)]
    WRAPPED.set(WRAPPED.get() + 1);
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// Returns what is within an untracked tensor that lives on `flex`.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    tensor.try_into_primitive::<Flex>().expect("the tensor lives on `flex`")
}

/// Returns the tensor with its values in row-major order, copied only if they aren't.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// Borrows the values of a contiguous tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor was made contiguous")
}

/// Returns the tensor in a buffer of its own, copied only if it is shared or a view, so that it can be overwritten.
pub(crate) fn owned(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.bytes().len() == size_of::<f32>() * tensor.layout().num_elements();
    if tensor.is_unique() && tensor.is_contiguous() && whole {
        return tensor;
    }
    let shape = tensor.layout().shape().clone();
    let source = contiguous(tensor);
    self::tensor(values(&source).to_vec(), shape)
}

/// Borrows the values of a tensor that [`owned`] returned.
pub(crate) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}

/// Returns the integers of a tensor in row-major order.
pub(crate) fn integers(tensor: &FlexTensor) -> Cow<'_, [i64]> {
    if let Some(values) = tensor.as_slice::<i64>() {
        return Cow::Borrowed(values);
    }
    let tensor = tensor.to_contiguous();
    match tensor.dtype() {
        DType::I64 => Cow::Owned(tensor.storage::<i64>().to_vec()),
        DType::I32 => Cow::Owned(tensor.storage::<i32>().iter().map(|&v| v.into()).collect()),
        DType::U8 => Cow::Owned(tensor.storage::<u8>().iter().map(|&v| v.into()).collect()),
        other => panic!("integers of type {other:?} are not supported"),
    }
}

/// Returns the last size of a tensor: the width of its rows.
pub(crate) fn width(tensor: &FlexTensor) -> usize {
    tensor.layout().shape().last().copied().unwrap_or(1)
}

/// Returns the tensor's shape.
pub(crate) fn shape(tensor: &FlexTensor) -> Shape {
    tensor.layout().shape().clone()
}

/// Returns the tensor's shape with another width.
pub(crate) fn shape_with_width(tensor: &FlexTensor, width: usize) -> Shape {
    let mut shape = shape(tensor);
    let last = shape.num_dims() - 1;
    shape[last] = width;
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn kernels_apply_to_single_precision_tracked_or_not() {
        let of = |device: &Device, dtype| Tensor::<1>::ones([3], (device, dtype));
        for device in [Device::flex(), Device::flex().autodiff()] {
            let (single, double) = (of(&device, DType::F32), of(&device, DType::F64));
            assert!(applies(&[&single.clone().into_dispatch()]));
            assert!(!applies(&[&double.clone().into_dispatch()]));
            assert!(!applies(&[&single.into_dispatch(), &double.into_dispatch()]));
        }
        assert!(applies(&[&of(&Device::flex().autodiff(), DType::F32).require_grad().into_dispatch()]));
    }
}
