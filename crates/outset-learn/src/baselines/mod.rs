//! Models that every network has to beat: the constant answer and a linear model, fitted in 64 bits without a network.
//!
//! Both are fitted on a dense matrix of features `[rows, width]`, as the network gets them. Equal data give an equal fit on
//! any number of threads.

mod constant;
mod lbfgs;
mod least_squares;
mod linear;
mod logistic;
mod rows;
mod sparse;
mod tagger;

pub(crate) use lbfgs::minimize;
pub use sparse::Sparse;
pub use tagger::{Known, Tagger};

use outset_spec::choices;
use rayon::prelude::*;

choices! {
    /// A model that a network has to beat.
    pub enum Baseline {
        /// The same answer for every row: the mean, or the shares of classes or labels in train.
        Constant = "constant",
        /// A linear model: least squares for numbers, logistic regression for categories and sets, a perceptron for tags.
        Linear = "linear",
        /// A linear model of tf-idf: words alone and in pairs, characters in runs of two to five, and the other columns.
        TfIdf = "tf_idf",
    }
}

/// What a baseline is fitted to, row by row.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    Number(&'a [f64]),
    /// The class of each row.
    Category {
        actual: &'a [u32],
        classes: usize,
    },
    /// Whether each row has each label: `[rows, labels]`.
    Set {
        actual: &'a [bool],
        labels: usize,
    },
}

impl Targets<'_> {
    /// Rows with a target.
    pub fn rows(&self) -> usize {
        match self {
            Self::Number(actual) => actual.len(),
            Self::Category { actual, .. } => actual.len(),
            Self::Set { actual, labels } => actual.len() / (*labels).max(1),
        }
    }

    /// Numbers that a prediction has: 1, or one for each class or label.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Number(_) => 1,
            Self::Category { classes, .. } => *classes,
            Self::Set { labels, .. } => *labels,
        }
    }
}

/// How sums of weighted features become a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The sum itself.
    Identity,
    /// One sum; its sigmoid is the probability of the second of two classes.
    Binary,
    /// A sum for each class; their softmax are the probabilities.
    Softmax,
    /// A sum for each label; its sigmoid is the probability of the label.
    Sigmoid,
}

/// A fitted baseline: sums of weighted features, and what is made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    pub link: Link,
    /// Features, 0 for the constant answer.
    pub width: usize,
    /// What each feature adds to each sum, in the features' own units: `[sums, width]`.
    pub coefficients: Vec<f64>,
    /// What each sum begins with; minus infinity for classes and labels that train has none of, plus infinity for labels
    /// that every row has.
    pub intercepts: Vec<f64>,
    /// What a reader should know about the fit.
    pub note: Option<String>,
}

impl Baseline {
    /// Fits the baseline; `weights` say how much each row counts.
    pub fn fit(
        self,
        features: &[f32],
        width: usize,
        targets: Targets<'_>,
        weights: Option<&[f64]>,
    ) -> Fitted {
        match self {
            Self::Constant => constant::fit(targets, weights),
            Self::Linear | Self::TfIdf => linear::fit(features, width, targets, weights),
        }
    }
}

/// Rows that a linear model is fitted on, evenly spaced, if there are `rows` of `width` features and `outputs` to fit:
/// no more than it takes for a sound fit in a few seconds.
pub fn rows_used(rows: usize, width: usize, outputs: usize) -> usize {
    const MOST: usize = 200_000;
    const LEAST: usize = 2_000;
    const WORK: usize = 50_000_000;
    rows.min(MOST.min((WORK / (width * outputs).max(1)).max(LEAST)))
}

impl Fitted {
    /// Predicts rows `[rows, width]`: a number a row, or a probability for each class or label; for the constant answer,
    /// which has no features of its own, tell the number of rows by [`Fitted::predict_rows`].
    pub fn predict(&self, features: &[f32]) -> Vec<f64> {
        self.predict_rows(features.len() / self.width.max(1), features)
    }

    /// Predicts `rows` rows; the constant answer looks at no features.
    pub fn predict_rows(&self, rows: usize, features: &[f32]) -> Vec<f64> {
        self.predict_sums(rows, |row, k| {
            let of_row = &features[row * self.width..(row + 1) * self.width];
            rows::dot(of_row, &self.coefficients[k * self.width..(k + 1) * self.width])
        })
    }

    /// Predicts sparse rows.
    pub fn predict_sparse(&self, rows: &Sparse) -> Vec<f64> {
        self.predict_sums(rows.len(), |row, k| {
            rows.dot(row, &self.coefficients[k * self.width..(k + 1) * self.width])
        })
    }

    /// Makes predictions of sums of weighted features, `sum(row, k)`.
    fn predict_sums(&self, rows: usize, sum: impl Fn(usize, usize) -> f64 + Sync) -> Vec<f64> {
        let outputs = self.outputs();
        let mut predictions = vec![0.0; rows * outputs];
        predictions.par_chunks_mut(outputs.max(1)).with_min_len(256).enumerate().for_each(
            |(row, prediction)| {
                let sum = |k: usize| self.intercepts[k] + sum(row, k);
                match self.link {
                    Link::Identity => prediction[0] = sum(0),
                    Link::Binary => {
                        let sum = sum(0);
                        prediction.copy_from_slice(&[logistic::sigmoid(-sum), logistic::sigmoid(sum)]);
                    }
                    Link::Softmax => {
                        for (k, value) in prediction.iter_mut().enumerate() {
                            *value = sum(k);
                        }
                        logistic::softmax(prediction);
                    }
                    Link::Sigmoid => {
                        for (k, value) in prediction.iter_mut().enumerate() {
                            *value = logistic::sigmoid(sum(k));
                        }
                    }
                }
            },
        );
        predictions
    }

    /// Numbers that a prediction has.
    pub fn outputs(&self) -> usize {
        if self.link == Link::Binary { 2 } else { self.intercepts.len() }
    }
}
