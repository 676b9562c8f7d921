//! The state of training: where it stands, and how it is saved and gone on from.

use super::Training;
use crate::bundle::BundleError;
use crate::checkpoint::Checkpoint;
use crate::error::LearnError;
use crate::keeper::Keeper;
use crate::machine;
use crate::update::{MovingAverage, State};
use crate::weights::{self, WeightsError};
use burn::module::Module as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where training stands; with the tensors of a checkpoint this is all of its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Updates made.
    pub step: usize,
    /// Epoch in work or done last, the first being 1.
    pub epoch: usize,
    /// Whether the epoch still has to be evaluated.
    pub open: bool,
    /// Batches of the epoch that are done.
    pub batches: usize,
    /// Sum of the loss over the rows of the epoch so far.
    pub loss_sum: f64,
    /// Rows of the epoch so far.
    pub rows_seen: usize,
    /// Loss of the last step.
    pub last_loss: Option<f64>,
    /// Epoch and objective of the best state so far.
    pub best: Option<(usize, f64)>,
    /// Epoch and objective of the best epoch so far, where the last state is kept instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading: Option<(usize, f64)>,
    /// Why training ended, where it has.
    pub ended: Option<String>,
    /// Seconds spent on training so far, over all that it was interrupted by.
    pub seconds: f64,
}

impl Training<'_> {
    /// Goes back to the state of a checkpoint.
    ///
    /// # Errors
    /// If its tensors are not those of this network.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), WeightsError> {
        let file = |name: &str| {
            let bytes = checkpoint.files.get(&format!("{name}.safetensors"));
            bytes.ok_or_else(|| WeightsError::Missing { name: name.to_owned() })
        };
        let network = weights::from_bytes(self.network().clone(), file("model")?)?;
        let tensors = |name: &str| weights::tensors_from_bytes(file(name)?);
        self.state = State::from_tensors(&network, tensors("optimizer")?, &self.device);
        self.average = if self.recipe.ema > 0.0 {
            MovingAverage::from_tensors(&network, tensors("average")?, &self.device)
        } else {
            MovingAverage::default()
        };
        let plain = || network.clone().valid();
        self.best = match checkpoint.progress.best {
            Some(_) => Some(weights::from_bytes(plain(), file("best")?)?),
            None => None,
        };
        self.last_good = (checkpoint.progress.step, plain());
        self.network = Some(network);
        self.progress = checkpoint.progress.clone();
        self.saved = Some(self.progress.clone());
        Ok(())
    }

    /// The tensors of the state by name of the file, each made when it is asked for; the best state comes first.
    fn tensors(&self) -> impl Iterator<Item = Result<(String, Vec<u8>), WeightsError>> {
        let names = [
            self.best.as_ref().map(|_| "best"),
            Some("model"),
            Some("optimizer"),
            (self.recipe.ema > 0.0).then_some("average"),
        ];
        names.into_iter().flatten().map(|name| {
            let bytes = match (name, &self.best) {
                ("best", Some(best)) => weights::to_bytes(best),
                ("optimizer", _) => weights::tensors_to_bytes(self.state.to_tensors(self.network())),
                ("average", _) => weights::tensors_to_bytes(self.average.to_tensors(self.network())),
                _ => weights::to_bytes(&self.network().clone().valid()),
            };
            Ok((format!("{name}.safetensors"), bytes?))
        })
    }

    /// Saves the state, unless it was saved just so.
    pub(crate) fn save(&mut self, keeper: &mut Keeper) -> Result<(), LearnError> {
        let same =
            |saved: &Progress| Progress { seconds: self.progress.seconds, ..saved.clone() } == self.progress;
        if self.saved.as_ref().is_some_and(same) {
            return Ok(());
        }
        // Works on other sizes than a step.
        machine::release_memory();
        let failed = |source| BundleError::Weights { path: PathBuf::from("checkpoints"), source };
        keeper.save(&self.progress, self.tensors().map(|file| Ok(file.map_err(failed)?)))?;
        self.saved = Some(self.progress.clone());
        Ok(())
    }
}
