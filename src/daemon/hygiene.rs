//! What the daemon forbids to itself, because its memory holds secrets. Commands and shims do not: the directory of a
//! shim is read from `/proc`, which a process that is not dumpable refuses.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// No core file, and no other process of this user looks into the memory, the environment or the descriptors
/// (`PR_SET_DUMPABLE(2const)`, `proc(5)`). Children are not affected: a new program is dumpable again.
pub fn keep_memory_private() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other programs of this user can read the memory of Janus");
    }
    // The hard limit stays, so that children may dump what is theirs.
    let none = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a crash may write the memory of Janus to a file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afterwards_nobody_looks_in() {
        keep_memory_private();
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            DumpableBehavior::NotDumpable
        );
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }
}
