//! Which variants of kernels won on this machine's cards: kept in the user's cache folder, so that a card is raced once.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use lantern_gpu::Gpu;

/// By [`Gpu::race_key`], then by kernel.
type Kept = BTreeMap<String, HashMap<String, String>>;

/// `None` where the system has no place for it: then each program races anew.
fn file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("lantern").join("races.json"))
}

/// All that is kept; a file that is missing or damaged is an empty one, since a race makes it anew.
pub fn kept() -> Kept {
    let text = file().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Tells the card what won on it before.
pub fn recall(gpu: &Gpu) {
    if let Some(winners) = kept().get(&gpu.race_key()) {
        gpu.remember(winners);
    }
}

/// Keeps what won on the card. A cache that cannot be written costs the next program a race, no more.
pub fn keep(gpu: &Gpu) {
    let (Some(file), mut all) = (file(), kept()) else { return };
    all.insert(gpu.race_key(), gpu.winners().into_iter().map(|winner| (winner.kernel, winner.choice)).collect());
    if let (Some(folder), Ok(text)) = (file.parent(), serde_json::to_string_pretty(&all)) {
        let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, text));
    }
}
