//! What requests are called in traces.

use dfs_wire::v1::mutate;
use dfs_wire::v1::request::Op;

pub(crate) fn kind_of(op: &Op) -> &'static str {
    match op {
        Op::Stat(_) => "stat",
        Op::List(_) => "list",
        Op::Resolve(_) => "resolve",
        Op::Groups(_) => "groups",
        Op::Digest(_) => "digest",
        Op::Place(_) => "place",
        Op::TakeSnapshot(_) => "take_snapshot",
        Op::Mutate(mutate) => mutate.op.as_ref().map_or("mutate", mutation_of),
        _ => "session",
    }
}

fn mutation_of(op: &mutate::Op) -> &'static str {
    use mutate::Op;
    match op {
        Op::MakeDirectory(_) => "make_directory",
        Op::Commit(_) => "commit",
        Op::MakeSymlink(_) => "make_symlink",
        Op::Remove(_) => "remove",
        Op::Rename(_) => "rename",
        Op::SetAttr(_) => "set_attr",
        Op::Append(_) => "append",
        Op::Truncate(_) => "truncate",
        Op::Copy(_) => "copy",
        Op::Link(_) => "link",
        Op::SetSettings(_) => "set_settings",
        Op::SetXattr(_) => "set_xattr",
        Op::SetAcl(_) => "set_acl",
    }
}
