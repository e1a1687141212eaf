//! The working directory of a caller, and how it is proved.

use std::path::{Path, PathBuf};

/// Where a caller works.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Directory {
    paths: Vec<PathBuf>,
    proof: Proof,
}

/// How a directory is proved. Better proofs come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proof {
    /// The working directory of the process on the other end, from the kernel.
    Peer,
    /// A header that this installation signed.
    Signed,
    /// Nothing but the client's own word, its `roots/list`.
    Roots,
}

impl Directory {
    /// One directory.
    pub(super) fn one(path: PathBuf, proof: Proof) -> Self {
        Self {
            paths: vec![path],
            proof,
        }
    }

    /// What a client says of itself; `None` where it names no absolute path.
    pub(super) fn roots(mut paths: Vec<PathBuf>) -> Option<Self> {
        paths.retain(|path| path.is_absolute());
        (!paths.is_empty()).then_some(Self {
            paths,
            proof: Proof::Roots,
        })
    }

    /// A directory somebody asks about, for an answer to a person: it reaches no caller.
    pub fn supposed(path: PathBuf) -> Self {
        Self::one(path, Proof::Peer)
    }

    /// The paths; several only where a client has several roots.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// How it is proved.
    pub fn proof(&self) -> Proof {
        self.proof
    }
}

impl Proof {
    /// What it is called in an explanation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peer => "unix socket peer",
            Self::Signed => "signed header",
            Self::Roots => "the client's roots",
        }
    }
}
