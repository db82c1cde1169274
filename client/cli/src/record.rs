//! Records of the log in readable form: one line and one JSON object per mutation.
use crate::json::put_bytes;
use crate::{figures, quote};
use dfs_wire::settings;
use dfs_wire::v1::{self, mutation::Kind};
use serde_json::{Value, json};

/// `Made file "a.txt" in 1: inode 12, mode 644, 5 B`.
pub(crate) fn line(mutation: &v1::Mutation) -> String {
    let Some(kind) = &mutation.kind else {
        return "of a kind this version does not know".into();
    };
    match kind {
        Kind::ClusterCreated(m) => cluster_created(m),
        Kind::TermStarted(m) => term_started(m),
        Kind::ReplicaAdded(m) => format!("ReplicaAdded to shard {}: node {}", m.shard, m.node_id),
        Kind::ReplicaRemoved(m) => {
            format!("ReplicaRemoved from shard {}: node {}", m.shard, m.node_id)
        }
        Kind::SessionOpened(m) => format!("SessionOpened {} by {}", m.session, m.actor),
        Kind::SessionExpired(m) => format!("SessionExpired {}", m.session),
        Kind::Tick(_) => "Tick".into(),
        Kind::GroupOpened(m) => group_opened(&m.group.clone().unwrap_or_default()),
        Kind::GroupClosed(m) => format!("GroupClosed {}", m.group),
        Kind::DigestTaken(m) => digest_taken(m),
        Kind::SnapshotTaken(m) => {
            let (shard, lsn, extents) = (m.shard, m.lsn, m.extents.len());
            format!("SnapshotTaken of shard {shard} at {lsn}: {extents} extents")
        }
        Kind::FloorMoved(m) => format!("FloorMoved to {}", m.floor_lsn),
        Kind::SettingChanged(m) => setting_changed(m),
        Kind::Made(m) => made(m),
        Kind::Removed(m) => {
            let place = place(m.tree, m.parent, &m.name);
            format!("Removed {} {place}: inode {}", kind_word(m.kind), m.inode)
        }
        Kind::Moved(m) => {
            let from = place(m.tree, m.from_parent, &m.from_name);
            let to = place(m.tree, m.to_parent, &m.to_name);
            format!(
                "Moved {} {from} to {to}: inode {}",
                kind_word(m.kind),
                m.inode
            )
        }
        Kind::Linked(m) => {
            let from = place(m.tree, m.from_parent, &m.from_name);
            let to = place(m.tree, m.to_parent, &m.to_name);
            format!(
                "Linked {} {from} as {to}: inode {}",
                kind_word(m.kind),
                m.inode
            )
        }
        Kind::ContentSet(m) => {
            let place = place(m.tree, m.parent, &m.name);
            format!(
                "ContentSet {place}: inode {}, {}",
                m.inode,
                content(m.content.as_ref())
            )
        }
        Kind::AttrSet(m) => attr_set(m),
        Kind::XattrSet(m) => xattr_set(m),
        Kind::AclSet(m) => acl_set(m),
        Kind::ParentTouched(m) => {
            let (inode, mtime) = (m.inode, m.mtime_ns);
            format!(
                "ParentTouched inode {inode}: children {:+}, mtime {mtime}",
                m.children
            )
        }
    }
}

/// The same with raw numbers: `{"kind": "Made", …}`.
pub(crate) fn json(mutation: &v1::Mutation) -> Value {
    let mut fields = match &mutation.kind {
        None => json!({ "kind": "Unknown" }),
        Some(kind) => json!({ "kind": kind_name(kind) }),
    };
    if let Some(kind) = &mutation.kind {
        put_fields(&mut fields, kind);
    }
    fields["text"] = line(mutation).into();
    fields
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::ClusterCreated(_) => "ClusterCreated",
        Kind::TermStarted(_) => "TermStarted",
        Kind::ReplicaAdded(_) => "ReplicaAdded",
        Kind::ReplicaRemoved(_) => "ReplicaRemoved",
        Kind::SessionOpened(_) => "SessionOpened",
        Kind::SessionExpired(_) => "SessionExpired",
        Kind::Tick(_) => "Tick",
        Kind::GroupOpened(_) => "GroupOpened",
        Kind::GroupClosed(_) => "GroupClosed",
        Kind::DigestTaken(_) => "DigestTaken",
        Kind::SnapshotTaken(_) => "SnapshotTaken",
        Kind::FloorMoved(_) => "FloorMoved",
        Kind::SettingChanged(_) => "SettingChanged",
        Kind::Made(_) => "Made",
        Kind::Removed(_) => "Removed",
        Kind::Moved(_) => "Moved",
        Kind::Linked(_) => "Linked",
        Kind::ContentSet(_) => "ContentSet",
        Kind::AttrSet(_) => "AttrSet",
        Kind::XattrSet(_) => "XattrSet",
        Kind::AclSet(_) => "AclSet",
        Kind::ParentTouched(_) => "ParentTouched",
    }
}

/// What a program follows a namespace by; control facts have their line of text.
fn put_fields(fields: &mut Value, kind: &Kind) {
    let mut put = |tree: u64, parent: u64, name: &[u8], inode: u64| {
        fields["tree"] = tree.into();
        fields["parent"] = parent.into();
        fields["inode"] = inode.into();
        put_bytes(fields, "name", name);
    };
    match kind {
        Kind::Made(m) => put(m.tree, m.parent, &m.name, m.inode),
        Kind::Removed(m) => put(m.tree, m.parent, &m.name, m.inode),
        Kind::ContentSet(m) => put(m.tree, m.parent, &m.name, m.inode),
        Kind::AttrSet(m) => put(m.tree, m.parent, &m.name, m.inode),
        Kind::XattrSet(m) => put(m.tree, m.parent, &m.name, m.inode),
        Kind::AclSet(m) => put(m.tree, m.parent, &m.name, m.inode),
        Kind::Moved(m) => {
            put(m.tree, m.to_parent, &m.to_name, m.inode);
            fields["from_parent"] = m.from_parent.into();
            put_bytes(fields, "from_name", &m.from_name);
        }
        Kind::Linked(m) => {
            put(m.tree, m.to_parent, &m.to_name, m.inode);
            fields["from_parent"] = m.from_parent.into();
            put_bytes(fields, "from_name", &m.from_name);
        }
        Kind::SettingChanged(m) => {
            let known = settings::by_number(m.setting);
            fields["setting"] = known.map(|known| known.name).into();
            fields["value"] = m.value.into();
        }
        Kind::ParentTouched(m) => {
            fields["inode"] = m.inode.into();
            fields["children"] = m.children.into();
            fields["mtime_ns"] = m.mtime_ns.into();
        }
        _ => {}
    }
    let content = match kind {
        Kind::Made(m) => m.content.as_ref(),
        Kind::ContentSet(m) => m.content.as_ref(),
        _ => None,
    };
    if let Some(content) = content {
        fields["size"] = content.size.into();
        fields["crc32c"] = content.crc32c.into();
        fields["extents"] = content.extents.len().into();
    }
}

fn cluster_created(m: &v1::ClusterCreated) -> String {
    let id = quote::hex(&m.cluster_id);
    let owner = m.owner.unwrap_or_default();
    format!(
        "ClusterCreated {id}: replicas {:?}, first owner node {}",
        m.replicas, owner.node_id
    )
}

fn setting_changed(m: &v1::SettingChanged) -> String {
    let known = settings::by_number(m.setting);
    let name = known.map_or_else(|| m.setting.to_string(), |known| known.name.to_string());
    match m.value {
        Some(value) => format!("SettingChanged {name} to {value}"),
        None => format!("SettingChanged {name} back to its default"),
    }
}

fn term_started(m: &v1::TermStarted) -> String {
    let node = m.owner.unwrap_or_default().node_id;
    let (shard, prev) = (m.shard, m.prev_term);
    format!("TermStarted of shard {shard}: node {node} after term {prev}")
}

fn group_opened(group: &v1::Group) -> String {
    let redundancy = redundancy(group.redundancy.as_ref());
    let short = if group.under_replicated {
        ", under-replicated"
    } else {
        ""
    };
    format!(
        "GroupOpened {}: {redundancy} on units {:?}{short}",
        group.group, group.unit_ids
    )
}

/// `replicated(3)`, `rs(4+2)`.
pub(crate) fn redundancy(redundancy: Option<&v1::Redundancy>) -> String {
    use v1::redundancy::Rule;
    match redundancy.and_then(|redundancy| redundancy.rule.as_ref()) {
        Some(Rule::Replicated(n)) => format!("replicated({n})"),
        Some(Rule::Rs(rs)) => format!("rs({}+{})", rs.data, rs.parity),
        None => "default redundancy".into(),
    }
}

fn made(m: &v1::Made) -> String {
    let place = place(m.tree, m.parent, &m.name);
    let mode = m.attr.as_ref().map_or(0, |attr| attr.mode);
    let mut text = format!(
        "Made {} {place}: inode {}, mode {mode:o}",
        kind_word(m.kind),
        m.inode
    );
    if m.content.is_some() {
        text.push_str(&format!(", {}", content(m.content.as_ref())));
    }
    if !m.link_target.is_empty() {
        text.push_str(&format!(", to \"{}\"", quote::shown(&m.link_target)));
    }
    text
}

fn attr_set(m: &v1::AttrSet) -> String {
    let mut text = format!(
        "AttrSet {}: inode {}",
        place(m.tree, m.parent, &m.name),
        m.inode
    );
    if let Some(mode) = m.mode {
        text.push_str(&format!(", mode {mode:o}"));
    }
    for (word, value) in [("uid", m.uid), ("gid", m.gid)] {
        if let Some(value) = value {
            text.push_str(&format!(", {word} {value}"));
        }
    }
    if let Some(mtime_ns) = m.mtime_ns {
        text.push_str(&format!(", mtime {mtime_ns}"));
    }
    text
}

fn xattr_set(m: &v1::XattrSet) -> String {
    let place = place(m.tree, m.parent, &m.name);
    let mut text = format!("XattrSet {place}: inode {}", m.inode);
    for xattr in &m.set {
        let bytes = figures::bytes(xattr.value.len() as u64);
        text.push_str(&format!(", {} {bytes}", quote::shown(&xattr.name)));
    }
    for name in &m.removed {
        text.push_str(&format!(", without {}", quote::shown(name)));
    }
    text
}

fn acl_set(m: &v1::AclSet) -> String {
    let place = place(m.tree, m.parent, &m.name);
    let count = |acl: &Option<v1::Acl>| acl.as_ref().map_or(0, |acl| acl.entries.len());
    let (access, default) = (count(&m.access), count(&m.default_acl));
    let inode = m.inode;
    format!(
        "AclSet {place}: inode {inode}, {access} entries beside the mode, {default} of the default"
    )
}

fn content(content: Option<&v1::Content>) -> String {
    let Some(content) = content else {
        return "empty".into();
    };
    let size = figures::bytes(content.size);
    match content.extents.len() {
        0 => format!("{size} inline"),
        n => format!(
            "{size} in {}",
            figures::count(n as u64, "extent", "extents")
        ),
    }
}

fn place(tree: u64, parent: u64, name: &[u8]) -> String {
    let name = quote::shown(name);
    match tree {
        0 => format!("\"{name}\" in {parent}"),
        tree => format!("\"{name}\" in {tree}:{parent}"),
    }
}

pub(crate) fn kind_word(kind: i32) -> &'static str {
    match v1::Kind::try_from(kind) {
        Ok(v1::Kind::File) => "file",
        Ok(v1::Kind::Directory) => "directory",
        Ok(v1::Kind::Symlink) => "symlink",
        Ok(v1::Kind::Unspecified) | Err(_) => "thing",
    }
}

fn digest_taken(taken: &v1::DigestTaken) -> String {
    let v1::DigestTaken {
        shard,
        node_id,
        lsn,
        digest,
        build,
        begun_lsn,
    } = taken;
    let by = format!("DigestTaken of shard {shard} by node {node_id} (build {build})");
    format!("{by} at {lsn}, begun from {begun_lsn}: {digest:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_file_reads_as_a_sentence() {
        let made = v1::Made {
            parent: 1,
            name: "a\n.txt".into(),
            inode: 12,
            kind: v1::Kind::File as i32,
            attr: Some(v1::Attr {
                mode: 0o644,
                ..Default::default()
            }),
            content: Some(v1::Content {
                size: 5,
                inline: "hello".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mutation = v1::Mutation {
            kind: Some(Kind::Made(made)),
        };
        let expected = "Made file \"a\\n.txt\" in 1: inode 12, mode 644, 5 B inline";
        assert_eq!(line(&mutation), expected);
        let object = json(&mutation);
        assert_eq!(
            (&object["kind"], &object["size"]),
            (&json!("Made"), &json!(5))
        );
    }

    #[test]
    fn only_what_is_set_is_said() {
        let set = v1::AttrSet {
            parent: 1,
            name: "d".into(),
            inode: 3,
            mode: Some(0o700),
            ..Default::default()
        };
        let mutation = v1::Mutation {
            kind: Some(Kind::AttrSet(set)),
        };
        assert_eq!(line(&mutation), "AttrSet \"d\" in 1: inode 3, mode 700");
        assert_eq!(
            line(&v1::Mutation::default()),
            "of a kind this version does not know"
        );
    }
}
