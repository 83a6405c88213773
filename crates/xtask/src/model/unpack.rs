//! A file out of a wheel, which is a zip file.

use super::{Member, hex};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use zip::ZipArchive;

const PIECE: usize = 1 << 20;

/// Puts it into the folder under its own name, when its size and hash are right.
pub fn member(wheel: &Path, member: &Member, folder: &Path) -> Result<()> {
    println!("unpacking {}", member.name);
    let path = folder.join(member.name);
    let part = folder.join(format!("{}.part", member.name));
    let written = write(wheel, member, &part);
    if let Err(error) = written {
        // What is wrong is of no use to the next attempt.
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, &path).with_context(|| format!("could not write {}", path.display()))
}

fn write(wheel: &Path, member: &Member, part: &Path) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("could not open {}", wheel.display()))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).context("the wheel is no zip file")?;
    let packed = archive.by_name(member.in_wheel).with_context(|| format!("the wheel's {}", member.in_wheel))?;
    let mut out = File::create(part).with_context(|| format!("could not create {}", part.display()))?;
    let (mut digest, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    // A file that claims to be small may go on without an end.
    let mut packed = packed.take(member.bytes + 1);
    loop {
        let read = packed.read(&mut piece).with_context(|| format!("the wheel's {}", member.in_wheel))?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
        out.write_all(&piece[..read]).with_context(|| format!("could not write {}", part.display()))?;
        bytes += read as u64;
    }
    if bytes != member.bytes || hex(digest) != member.sha256 {
        bail!("{} in the wheel is not the published file: its size or SHA-256 is another", member.in_wheel);
    }
    out.sync_all().with_context(|| format!("could not write {}", part.display()))
}
