//! Table 8 of the supplement.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Table 8 of the paper's supplement.
const TABLE: &str = include_str!("../../../../data/two_stage.toml");

/// Methods of one kind.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) rows: Vec<Published>,
}

/// A published result, in percent.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    pub(super) method: String,
    pub(super) backbone: String,
    /// What it learns from: F pixel masks, I image labels, S saliency detectors, D additional data.
    pub(super) supervision: String,
    pub(super) val: Option<f64>,
    pub(super) test: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    groups: Vec<Group>,
}

/// The published table.
///
/// # Errors
/// None that can be met: the tests read it.
pub(super) fn groups() -> Result<Vec<Group>> {
    let document: Document =
        toml::from_str(TABLE).map_err(|error| Error::Failed(format!("the published table cannot be read: {error}")))?;
    Ok(document.groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_are_the_published_table() {
        let groups = groups().unwrap();
        let sizes: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.rows.len())).collect();
        let expected = [("Fully supervised", 2), ("Multi stage + Saliency", 3), ("Single stage + Saliency", 1)];
        assert_eq!(sizes, [&expected[..], &[("Multi stage", 3), ("Two stage", 2)]].concat());
        let rows: Vec<&Published> = groups.iter().flat_map(|group| &group.rows).collect();
        assert_eq!(rows.iter().filter(|row| row.val.is_none()).count(), 1, "DeepLabv3+ has a test score alone");
        let sum = |of: fn(&Published) -> Option<f64>| rows.iter().filter_map(|row| of(row)).sum::<f64>();
        assert!((sum(|row| row.val) - 662.0).abs() < 1e-6 && (sum(|row| row.test) - 760.2).abs() < 1e-6);
        let ours = rows[rows.len() - 1];
        assert_eq!((ours.backbone.as_str(), ours.val, ours.test), ("Xception-65", Some(66.8), Some(67.3)));
    }
}
