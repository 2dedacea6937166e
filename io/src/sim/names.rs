//! Directories: names as processes see them, names on the device, and the journal between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use rustix::io::Errno;

use super::inode::Inode;
use super::num::mix;

/// Number of a file or directory; never used twice on one disk.
pub(crate) type NodeId = u64;

/// The root directory.
pub(crate) const ROOT: NodeId = 0;

/// A directory.
#[derive(Debug, Default)]
pub(crate) struct Dir {
    pub(crate) current: BTreeMap<String, NodeId>,
    pub(crate) durable: BTreeMap<String, NodeId>,
}

#[derive(Debug)]
pub(crate) enum Node {
    File(Box<Inode>),
    Dir(Dir),
}

/// A name: in which directory, and how it is called there.
type Name = (NodeId, String);

/// A change of names that no sync has settled.
#[derive(Debug)]
struct NameChange {
    seq: u64,
    unlinked: Option<Name>,
    linked: Option<Name>,
    node: NodeId,
}

impl NameChange {
    fn names(&self) -> impl Iterator<Item = &Name> {
        self.unlinked.iter().chain(self.linked.iter())
    }
}

/// All files and directories of one disk.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    next: NodeId,
    journal: Vec<NameChange>,
    /// How often each path was created, so that a new file draws anew.
    births: BTreeMap<u64, u64>,
}

impl Tree {
    /// A disk with an empty root.
    pub(crate) fn new() -> Self {
        let nodes = BTreeMap::from([(ROOT, Node::Dir(Dir::default()))]);
        Self { nodes, next: ROOT + 1, journal: Vec::new(), births: BTreeMap::new() }
    }

    pub(crate) fn file(&self, node: NodeId) -> Option<&Inode> {
        match self.nodes.get(&node) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(crate) fn file_mut(&mut self, node: NodeId) -> Option<&mut Inode> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Inode> {
        self.nodes.values().filter_map(|node| match node {
            Node::File(file) => Some(file.as_ref()),
            Node::Dir(_) => None,
        })
    }

    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut Inode> {
        self.nodes.values_mut().filter_map(|node| match node {
            Node::File(file) => Some(file.as_mut()),
            Node::Dir(_) => None,
        })
    }

    pub(crate) fn dir(&self, node: NodeId) -> Option<&Dir> {
        match self.nodes.get(&node) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    /// Follows `path` through the names that processes see.
    pub(crate) fn find(&self, path: &Path) -> Result<NodeId, Errno> {
        self.walk(path, |dir| &dir.current)
    }

    /// Follows `path` through the names the device holds.
    pub(crate) fn find_durable(&self, path: &Path) -> Result<NodeId, Errno> {
        self.walk(path, |dir| &dir.durable)
    }

    fn walk(
        &self,
        path: &Path,
        names: impl Fn(&Dir) -> &BTreeMap<String, NodeId>,
    ) -> Result<NodeId, Errno> {
        let mut trail = vec![ROOT];
        for component in path.components() {
            let at = trail.last().copied().unwrap_or(ROOT);
            match component {
                Component::Normal(name) => {
                    let dir = self.dir(at).ok_or(Errno::NOTDIR)?;
                    let name = name.to_str().ok_or(Errno::ILSEQ)?;
                    trail.push(*names(dir).get(name).ok_or(Errno::NOENT)?);
                }
                Component::ParentDir if trail.len() > 1 => {
                    trail.pop();
                }
                Component::ParentDir
                | Component::CurDir
                | Component::RootDir
                | Component::Prefix(_) => {}
            }
        }
        Ok(trail.last().copied().unwrap_or(ROOT))
    }

    /// The directory that holds or would hold `path`, and the last name of `path`.
    pub(crate) fn parent(&self, path: &Path) -> Result<Name, Errno> {
        let name = path.file_name().ok_or(Errno::EXIST)?.to_str().ok_or(Errno::ILSEQ)?;
        let dir = self.find(path.parent().unwrap_or(Path::new("/")))?;
        self.dir(dir).ok_or(Errno::NOTDIR)?;
        Ok((dir, name.to_owned()))
    }

    fn lookup(&self, name: &Name) -> Option<NodeId> {
        self.dir(name.0)?.current.get(&name.1).copied()
    }

    /// Creates an empty file with a free name.
    pub(crate) fn create_file(&mut self, seq: u64, path: &Path) -> Result<NodeId, Errno> {
        let name = self.free_name(path)?;
        let hash = xxhash_rust::xxh3::xxh3_64(path.as_os_str().as_encoded_bytes());
        let births = self.births.entry(hash).or_default();
        *births += 1;
        let file = Inode::new(mix(hash, *births));
        Ok(self.adopt(seq, name, Node::File(Box::new(file))))
    }

    /// Creates an empty directory with a free name.
    pub(crate) fn create_dir(&mut self, seq: u64, path: &Path) -> Result<(), Errno> {
        let name = self.free_name(path)?;
        self.adopt(seq, name, Node::Dir(Dir::default()));
        Ok(())
    }

    fn free_name(&self, path: &Path) -> Result<Name, Errno> {
        let name = self.parent(path)?;
        if self.lookup(&name).is_some() { Err(Errno::EXIST) } else { Ok(name) }
    }

    fn adopt(&mut self, seq: u64, name: Name, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        self.change(NameChange { seq, unlinked: None, linked: Some(name), node: id });
        id
    }

    /// Removes a file or an empty directory.
    pub(crate) fn remove(&mut self, seq: u64, path: &Path) -> Result<(), Errno> {
        let name = self.parent(path).map_err(|errno| match errno {
            Errno::EXIST => Errno::BUSY, // the root
            other => other,
        })?;
        let node = self.lookup(&name).ok_or(Errno::NOENT)?;
        if self.dir(node).is_some_and(|dir| !dir.current.is_empty()) {
            return Err(Errno::NOTEMPTY);
        }
        self.change(NameChange { seq, unlinked: Some(name), linked: None, node });
        Ok(())
    }

    /// Renames, replacing a file (or an empty directory by a directory).
    pub(crate) fn rename(&mut self, seq: u64, from: &Path, to: &Path) -> Result<(), Errno> {
        let from_name = self.parent(from)?;
        let to_name = self.parent(to)?;
        let node = self.lookup(&from_name).ok_or(Errno::NOENT)?;
        let moves_dir = self.dir(node).is_some();
        if moves_dir && self.is_below(to, node) {
            return Err(Errno::INVAL);
        }
        if let Some(target) = self.lookup(&to_name) {
            if target == node {
                return Ok(());
            }
            if self.is_below(from, target) {
                return Err(Errno::NOTEMPTY);
            }
            match (moves_dir, self.dir(target)) {
                (true, None) => return Err(Errno::NOTDIR),
                (false, Some(_)) => return Err(Errno::ISDIR),
                (true, Some(dir)) if !dir.current.is_empty() => return Err(Errno::NOTEMPTY),
                (true | false, _) => {}
            }
        }
        let (unlinked, linked) = (Some(from_name), Some(to_name));
        self.change(NameChange { seq, unlinked, linked, node });
        Ok(())
    }

    /// Whether `path` leads through directory `node`.
    fn is_below(&self, path: &Path, node: NodeId) -> bool {
        path.ancestors().skip(1).any(|above| self.find(above) == Ok(node))
    }

    fn change(&mut self, change: NameChange) {
        apply(&mut self.nodes, &change, |dir| &mut dir.current);
        self.journal.push(change);
    }

    /// Makes durable all changes before `seq` in directory `dir`, with those they build on.
    pub(crate) fn settle(&mut self, seq: u64, dir: NodeId) {
        let mut wanted: Vec<Name> = Vec::new();
        let mut chosen = vec![false; self.journal.len()];
        for (change, chosen) in self.journal.iter().zip(chosen.iter_mut()).rev() {
            let touches = |name: &Name| name.0 == dir || wanted.contains(name);
            if change.seq < seq && change.names().any(touches) {
                *chosen = true;
                wanted.extend(change.names().cloned());
            }
        }
        let mut kept = Vec::new();
        for (change, chosen) in std::mem::take(&mut self.journal).into_iter().zip(chosen) {
            if chosen {
                apply(&mut self.nodes, &change, |dir| &mut dir.durable);
            } else {
                kept.push(change);
            }
        }
        self.journal = kept;
    }

    /// Sequence numbers of all pending changes of names.
    pub(crate) fn pending(&self) -> impl Iterator<Item = u64> + '_ {
        self.journal.iter().map(|change| change.seq)
    }

    /// Power is gone: the changes that survive are durable, and what the device holds is what there is.
    pub(crate) fn lose_power(&mut self, mut survives: impl FnMut(u64) -> bool) {
        for change in std::mem::take(&mut self.journal) {
            if survives(change.seq) {
                self.forget_durable_names(&change);
                apply(&mut self.nodes, &change, |dir| &mut dir.durable);
            }
        }
        let reached = self.reach(|dir| dir.durable.values().copied().collect());
        self.nodes.retain(|node, _| reached.contains(node));
        for node in self.nodes.values_mut() {
            if let Node::Dir(dir) = node {
                dir.durable.retain(|_, child| reached.contains(child));
                dir.current.clone_from(&dir.durable);
            }
        }
    }

    /// A node has one name: where the change that brought it to its former name was lost, an even older name is
    /// still there.
    fn forget_durable_names(&mut self, change: &NameChange) {
        if change.linked.is_none() {
            return;
        }
        for node in self.nodes.values_mut() {
            if let Node::Dir(dir) = node {
                dir.durable.retain(|_, child| *child != change.node);
            }
        }
    }

    /// The process is gone: files that have no name on the device nor in the cache go too.
    pub(crate) fn end_process(&mut self) {
        self.collect();
    }

    /// Forgets nodes that nothing leads to: no name, no open handle, no pending change.
    pub(crate) fn collect(&mut self) {
        let mut reached =
            self.reach(|dir| dir.current.values().chain(dir.durable.values()).copied().collect());
        reached.extend(self.journal.iter().map(|change| change.node));
        self.nodes.retain(|id, node| {
            let open = matches!(node, Node::File(file) if file.handles > 0);
            open || reached.contains(id)
        });
    }

    fn reach(&self, children: impl Fn(&Dir) -> Vec<NodeId>) -> BTreeSet<NodeId> {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            for child in self.dir(id).map(&children).unwrap_or_default() {
                if reached.insert(child) && self.dir(child).is_some() {
                    open.push(child);
                }
            }
        }
        reached.retain(|id| self.nodes.contains_key(id));
        reached
    }

    /// Bytes held by files that have a name or an open handle.
    pub(crate) fn used_bytes(&self) -> u64 {
        let named = self.reach(|dir| dir.current.values().copied().collect());
        let held = self.nodes.iter().filter_map(|(id, node)| match node {
            Node::File(file) if file.handles > 0 || named.contains(id) => {
                Some(file.reserved_bytes())
            }
            _ => None,
        });
        held.sum()
    }

    /// Makes the names on the way to `path` durable.
    pub(crate) fn settle_above(&mut self, path: &Path) {
        for above in path.ancestors().skip(1) {
            if let Ok(dir) = self.find(above) {
                self.settle(u64::MAX, dir);
            }
        }
    }
}

fn apply(
    nodes: &mut BTreeMap<NodeId, Node>,
    change: &NameChange,
    side: impl Fn(&mut Dir) -> &mut BTreeMap<String, NodeId>,
) {
    if let Some((dir, name)) = &change.unlinked
        && let Some(Node::Dir(dir)) = nodes.get_mut(dir)
    {
        let names = side(dir);
        if names.get(name) == Some(&change.node) {
            names.remove(name);
        }
    }
    if let Some((dir, name)) = &change.linked
        && let Some(Node::Dir(dir)) = nodes.get_mut(dir)
    {
        side(dir).insert(name.clone(), change.node);
    }
}
