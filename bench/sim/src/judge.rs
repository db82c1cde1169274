//! The history against the reference file system: every acknowledged mutation exactly once, every answer true.
use crate::history::{Answer, Asked, Done, Read, What, bytes_of};
use bytes::{Bytes, BytesMut};
use dfs_fs::{Committed, Entry, Kind, When};
use dfs_model::{Model, Node, Who};
use dfs_wire::v1::mutate::Op;
use dfs_wire::v1::view::View;
use dfs_wire::{Code, Refusal, v1};

type Acknowledged<'a> = (&'a Done, &'a v1::Mutate, Committed);

/// A refused mutation, until a state is found in which the model refuses it too.
struct Refused<'a> {
    done: &'a Done,
    request: &'a v1::Mutate,
    refusal: &'a Refusal,
    explained: bool,
}

/// What does not agree; empty: everything does.
/// `kept`: µs of history that must stay readable (0: all of it), and the latest log time that was told.
/// `may_be_full`: a mutation may be refused because disks are, and then it was not done.
pub(crate) fn judge(
    history: &[Done],
    birth_lsn: u64,
    root: v1::Attr,
    kept: (u64, u64),
    may_be_full: bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut model, born) = (Model::new(birth_lsn, root), birth_lsn);
    let mut mutations: Vec<Acknowledged<'_>> = Vec::new();
    let mut refused = Vec::new();
    for done in history {
        match &done.what {
            What::Mutation(request, Ok(committed)) => mutations.push((done, request, *committed)),
            What::Mutation(_, Err(refusal)) if may_be_full && found_no_room(refusal) => {}
            What::Mutation(request, Err(refusal)) => refused.push(Refused {
                done,
                request,
                refusal,
                explained: past_of(request).is_some_and(|lsn| {
                    check_trimmed(When::Lsn(lsn), refusal, kept) == Some(Ok(()))
                }),
            }),
            What::Read(_) => {}
        }
    }
    mutations.sort_by_key(|(_, _, committed)| committed.lsn);
    faults.extend(refused.iter().filter_map(unanswered));
    let mut from = birth_lsn;
    for (at, (done, request, committed)) in mutations.iter().enumerate() {
        let lsn = committed.lsn;
        explain(&model, &mut refused, from..lsn);
        if lsn <= done.floor || lsn <= from {
            let why = format!(
                "it was told LSN {lsn}; {} was known, {from} taken",
                done.floor
            );
            faults.push(format!("{}: {request:?}: {why}", done.client));
            continue;
        }
        if let Err(code) = model.apply(request, lsn, Who::default()) {
            let why = format!("acknowledged as mutation {at}, LSN {lsn}; the model: {code:?}");
            faults.push(format!("{}: {request:?}: {why}", done.client));
        }
        from = lsn;
    }
    explain(&model, &mut refused, from..u64::MAX);
    let unexplained = refused.iter().filter(|refused| !refused.explained);
    faults.extend(unexplained.map(|refused| {
        let (client, refusal) = (&refused.done.client, refused.refusal);
        format!(
            "{client}: {:?}: refused with {refusal:?} above LSN {}, the model does it",
            refused.request, refused.done.floor
        )
    }));
    for done in history {
        if let What::Read(read) = &done.what
            && let Err(why) = check_moment(&mutations, read)
                .and_then(|()| check_read(&model, born, done, read, kept))
        {
            let Read { path, asked, .. } = read;
            let client = &done.client;
            faults.push(format!("{client}: {asked:?} {:?}: {why}", path.path));
        }
    }
    faults
}

fn found_no_room(refusal: &Refusal) -> bool {
    refusal.code() == Code::NoSpace && refusal.get().not_done
}

/// Only what is about the request itself may come out of a cluster that lives.
fn unanswered(refused: &Refused<'_>) -> Option<String> {
    let refusal = refused.refusal;
    let is_outcome = refusal.get().not_done && !refusal.is_retryable();
    (!is_outcome).then(|| {
        let client = &refused.done.client;
        format!("{client}: {:?}: no outcome: {refusal:?}", refused.request)
    })
}

/// A refusal is true in some state between what was known when it was asked for and what it says.
fn explain(model: &Model, refused: &mut [Refused<'_>], lsns: std::ops::Range<u64>) {
    let waiting = refused.iter_mut().filter(|refused| !refused.explained);
    for refused in waiting {
        let last = match refused.refusal.get().lsn {
            0 => u64::MAX,
            lsn if Some(lsn) == past_of(refused.request) => u64::MAX,
            lsn => lsn,
        };
        let meets = refused.done.floor < lsns.end && lsns.start <= last;
        refused.explained = meets && model.refusal(refused.request) == Some(refused.refusal.code());
    }
}

/// What a copy from the past is refused with is true there, and for ever.
fn past_of(request: &v1::Mutate) -> Option<u64> {
    let Some(Op::Copy(copy)) = &request.op else {
        return None;
    };
    match copy.from_view.as_ref()?.view {
        Some(View::AtLsn(lsn)) => Some(lsn),
        _ => None,
    }
}

/// A log time stands for the last LSN at or before it.
fn check_moment(mutations: &[Acknowledged<'_>], read: &Read) -> Result<(), String> {
    let (When::TimeUs(us), Ok(answer)) = (read.when, &read.answer) else {
        return Ok(());
    };
    let lsn = answer.lsn();
    let wrong = mutations
        .iter()
        .find(|(_, _, committed)| (committed.lsn <= lsn) != (committed.log_time_us <= us));
    wrong.map_or(Ok(()), |(_, _, committed)| {
        Err(format!(
            "at {us} µs it saw LSN {lsn}; there is {committed:?}"
        ))
    })
}

/// `None`: it is no word of the floor. The floor lies above what was asked for, and no higher than
/// retention lets it.
fn check_trimmed(
    when: When,
    refusal: &Refusal,
    (retention_us, last_us): (u64, u64),
) -> Option<Result<(), String>> {
    let said = refusal.get();
    if refusal.code() != Code::Trimmed {
        return None;
    }
    let below = match when {
        When::Lsn(lsn) => lsn < said.lsn,
        When::TimeUs(us) => us < said.log_time_us,
        _ => false,
    };
    let young = said.log_time_us + retention_us > last_us;
    let right = below && retention_us > 0 && !young;
    Some(
        right
            .then_some(())
            .ok_or_else(|| format!("{refusal:?} at {said:?}")),
    )
}

fn check_read(
    model: &Model,
    birth_lsn: u64,
    done: &Done,
    read: &Read,
    kept: (u64, u64),
) -> Result<(), String> {
    if let Err(refusal) = &read.answer
        && let Some(checked) = check_trimmed(read.when, refusal, kept)
    {
        return checked;
    }
    let (lsn, code) = match &read.answer {
        Ok(answer) => (answer.lsn(), None),
        Err(refusal) => (refusal.get().lsn, Some(refusal.code())),
    };
    match read.when {
        When::Lsn(at) if lsn != at => {
            return Err(format!("of LSN {at}, answered for {lsn} ({code:?})"));
        }
        When::Head if lsn < done.floor => {
            return Err(format!(
                "answered for LSN {lsn} ({code:?}), {} was known",
                done.floor
            ));
        }
        _ => {}
    }
    let expected = expected(model, lsn, read);
    match (&read.answer, expected) {
        (Err(_), Err(expected)) if code == Some(expected) => Ok(()),
        (Ok(answer), Ok(node)) => check_answer(model, lsn, birth_lsn, read, answer, &node),
        (_, expected) => Err(format!("{code:?} at LSN {lsn}; the model: {expected:?}")),
    }
}

fn expected(model: &Model, lsn: u64, read: &Read) -> Result<Node, Code> {
    let node = model.stat(lsn, &read.path)?;
    match read.asked {
        Asked::List if node.kind != v1::Kind::Directory => Err(Code::WrongKind),
        Asked::Bytes if node.kind != v1::Kind::File => Err(Code::WrongKind),
        _ => Ok(node),
    }
}

fn check_answer(
    model: &Model,
    lsn: u64,
    birth_lsn: u64,
    read: &Read,
    answer: &Answer,
    node: &Node,
) -> Result<(), String> {
    match answer {
        Answer::Stat(entry) => {
            let got = entry
                .xattrs
                .iter()
                .map(|x| (x.name.to_vec(), x.value.to_vec()));
            if !got.clone().eq(node.xattrs.clone()) {
                let got = got.count();
                return Err(format!("{got} xattrs; the model: {:?}", node.xattrs.keys()));
            }
            same(entry, node, birth_lsn)
        }
        Answer::Bytes(entry, bytes) => {
            same(entry, node, birth_lsn)?;
            let expected = whole(&node.content);
            if *bytes == expected {
                return Ok(());
            }
            let (got, wanted) = (bytes.len(), expected.len());
            Err(format!(
                "other bytes at LSN {lsn}: {got}, the model {wanted}"
            ))
        }
        Answer::Settings(seen) => same_settings(model, lsn, seen),
        Answer::List(page) => {
            same(&page.directory, node, birth_lsn)?;
            let expected = model
                .list(lsn, &read.path)
                .map_err(|code| format!("{code:?}"))?;
            let names: Vec<_> = page.entries.iter().map(|entry| &entry.name[..]).collect();
            let wanted: Vec<_> = expected.iter().map(|(name, _)| &name[..]).collect();
            if names != wanted || page.more {
                return Err(format!("{names:?} at LSN {lsn}; the model: {wanted:?}"));
            }
            let mut both = page.entries.iter().zip(&expected);
            both.try_for_each(|(entry, (_, node))| same(entry, node, birth_lsn))
        }
    }
}

fn same_settings(model: &Model, lsn: u64, seen: &[v1::SettingState]) -> Result<(), String> {
    let tree = model.at(lsn).ok_or("before the birth")?;
    for state in seen {
        let known = tree.settings.get(&state.setting).copied();
        let wanted = known.unwrap_or_default();
        let got = (state.lsn, state.is_set.then_some(state.value));
        if got != wanted {
            let number = state.setting;
            return Err(format!("setting {number} {got:?}; the model: {wanted:?}"));
        }
    }
    Ok(())
}

/// mtime is left out: it is the time of the plan, which only the record tells.
fn same(entry: &Entry, node: &Node, birth_lsn: u64) -> Result<(), String> {
    let kind = match entry.kind {
        Kind::File => v1::Kind::File,
        Kind::Directory => v1::Kind::Directory,
        Kind::Symlink => v1::Kind::Symlink,
    };
    let got = (kind, entry.mode, entry.size, entry.lsn.max(birth_lsn));
    let wanted = (node.kind, node.attr.mode, node.content.size, node.lsn);
    if got == wanted {
        return Ok(());
    }
    Err(format!(
        "(kind, mode, size, LSN) {got:?}; the model: {wanted:?}"
    ))
}

/// All bytes of a file of the model.
fn whole(content: &v1::Content) -> Bytes {
    let mut bytes = BytesMut::from(&content.inline[..]);
    for extent in &content.extents {
        let length = extent.length as usize;
        match extent.extent {
            Some(id) => bytes.extend_from_slice(&bytes_of(id.counter, length)),
            None => bytes.resize(bytes.len() + length, 0),
        }
    }
    bytes.freeze()
}
