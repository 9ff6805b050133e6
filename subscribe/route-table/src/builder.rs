//! The next tree from the last one: only what lies above a change is copied.
//!
//! All changes of a publish go down the tree together, sorted by hash, so each branch and leaf on
//! their ways is rebuilt once, however many of them meet there. An untouched sibling costs one
//! reference count.

use std::hint::black_box;
use std::sync::Arc;

use crate::key::RouteKey;
use crate::leaf::{self, Slot};
use crate::limits::{BRANCH_CHILDREN, BRANCH_KEYS_MIN, BRANCH_LEVELS_MAX, LEAF_KEYS_MAX};
use crate::route::Route;
use crate::table::{Branch, Census, Table, Tree, child_index};

/// One staged change: the key's new route, or none.
struct Change {
    hash: u64,
    key: RouteKey,
    route: Option<Arc<Route>>,
}

/// The table after `staged`, in which no key occurs twice.
pub(crate) fn amend(
    table: &Table,
    staged: impl Iterator<Item = (RouteKey, Option<Arc<Route>>)>,
) -> Table {
    let hash = |key: &RouteKey| table.seed.hash(key.as_str());
    let mut changes: Vec<Change> =
        staged.map(|(key, route)| Change { hash: hash(&key), key, route }).collect();
    changes.sort_unstable_by_key(|change| change.hash);
    let mut census = table.census;
    Table {
        root: amend_tree(&table.root, &changes, 0, &mut census),
        generation: table.generation + 1,
        census,
        seed: table.seed.clone(),
    }
}

fn amend_tree(tree: &Tree, changes: &[Change], depth: u32, census: &mut Census) -> Tree {
    if changes.is_empty() {
        return tree.clone();
    }
    match tree {
        Tree::Leaf(slots) => grow(amend_leaf(slots, changes, census), depth),
        Tree::Branch(branch) => amend_branch(branch, changes, depth, census),
    }
}

fn amend_branch(branch: &Branch, changes: &[Change], depth: u32, census: &mut Census) -> Tree {
    let before = census.keys;
    warm_children(&branch.children);
    let mut rest = changes;
    let children = std::array::from_fn(|index| {
        let mine = rest.partition_point(|change| child_index(change.hash, depth) == index);
        let (mine, others) = rest.split_at(mine);
        rest = others;
        amend_tree(&branch.children[index], mine, depth + 1, census)
    });
    debug_assert!(rest.is_empty(), "a change belongs to no child");
    let keys = branch.keys + census.keys - before;
    if keys > BRANCH_KEYS_MIN {
        return Tree::Branch(Arc::new(Branch { keys, children }));
    }
    let mut taken = Vec::with_capacity(keys);
    children.iter().for_each(|child| gather(child, &mut taken));
    Tree::Leaf(leaf::plant(taken))
}

/// The taken slots of a leaf after its changes.
fn amend_leaf(slots: &[Slot], changes: &[Change], census: &mut Census) -> Vec<Slot> {
    leaf::warm(slots);
    let mut taken = Vec::with_capacity(slots.len() + changes.len());
    for slot in leaf::taken(slots) {
        let from = changes.partition_point(|change| change.hash < slot.hash());
        let mut rivals = changes[from..].iter().take_while(|change| change.hash == slot.hash());
        match rivals
            .find(|change| slot.matches(change.hash, change.key.as_str().as_bytes()).is_some())
        {
            Some(change) => census.remove(&change.key),
            None => taken.push(slot.clone()),
        }
    }
    for change in changes {
        if let Some(route) = &change.route {
            census.add(&change.key);
            taken.push(Slot::taken(change.hash, Arc::clone(route)));
        }
    }
    taken
}

/// A tree of these slots: a leaf if they fit one, else a branch of such trees.
fn grow(taken: Vec<Slot>, depth: u32) -> Tree {
    if taken.len() <= LEAF_KEYS_MAX || depth == BRANCH_LEVELS_MAX {
        return Tree::Leaf(leaf::plant(taken));
    }
    let keys = taken.len();
    let mut parts: [Vec<Slot>; BRANCH_CHILDREN] = std::array::from_fn(|_| Vec::new());
    for slot in taken {
        parts[child_index(slot.hash(), depth)].push(slot);
    }
    let children = parts.map(|part| grow(part, depth + 1));
    Tree::Branch(Arc::new(Branch { keys, children }))
}

fn gather(tree: &Tree, taken: &mut Vec<Slot>) {
    match tree {
        Tree::Leaf(slots) => taken.extend(leaf::taken(slots).cloned()),
        Tree::Branch(branch) => branch.children.iter().for_each(|child| gather(child, taken)),
    }
}

/// Frees what only this tree still holds, as dropping it would, but each leaf warmed first.
pub(crate) fn fell(tree: Tree) {
    match tree {
        Tree::Leaf(slots) => {
            if Arc::strong_count(&slots) == 1 {
                leaf::warm(&slots);
            }
        }
        Tree::Branch(branch) => {
            warm_children(&branch.children);
            if let Some(branch) = Arc::into_inner(branch) {
                branch.children.into_iter().for_each(fell);
            }
        }
    }
}

/// As [`leaf::warm`], for the children of a branch.
fn warm_children(children: &[Tree]) {
    let count = |tree: &Tree| match tree {
        Tree::Leaf(slots) => Arc::strong_count(slots),
        Tree::Branch(branch) => Arc::strong_count(branch),
    };
    black_box(children.iter().map(count).sum::<usize>());
}

impl Census {
    fn add(&mut self, key: &RouteKey) {
        self.keys += 1;
        self.suffixes += usize::from(key.is_suffix());
        self.mounts += usize::from(!key.mount().is_empty());
    }

    fn remove(&mut self, key: &RouteKey) {
        self.keys -= 1;
        self.suffixes -= usize::from(key.is_suffix());
        self.mounts -= usize::from(!key.mount().is_empty());
    }
}
