//! The modules of one crate and the arrows between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::source::{Named, Source};

pub type Module = Vec<String>;

/// A crate as its files say it.
pub struct Crate {
    pub name: String,
    pub modules: BTreeMap<Module, Source>,
}

/// From one module to another of the same crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: Module,
    pub to: Module,
}

impl Crate {
    pub fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        crate::files(&folder.join("src"), &mut files);
        let has_library = folder.join("src/lib.rs").is_file();
        let mut modules = BTreeMap::new();
        for file in files {
            let relative = file.strip_prefix(folder.join("src")).unwrap();
            if let Some(module) = module_of(relative, has_library) {
                let source = Source::read(&fs::read_to_string(&file).unwrap(), &module);
                modules.insert(module, source);
            }
        }
        Self { name: folder.file_name().unwrap().to_string_lossy().into_owned(), modules }
    }

    fn is_module(&self, module: &[String]) -> bool {
        self.modules.contains_key(module) || self.modules.keys().any(|known| known.starts_with(module))
    }

    /// The path from the root of the crate; `None` for what other crates own.
    pub fn absolute(&self, source: &Source, named: &Named) -> Option<Module> {
        let mut scope = named.scope.clone();
        let mut rest = &named.path[..];
        match rest.first()?.as_str() {
            "crate" => (scope, rest) = (Vec::new(), &rest[1..]),
            "self" if rest.len() > 1 => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    scope.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                if let Some(target) = source.aliases.get(&(named.scope.clone(), first.to_owned())) {
                    let is_itself = target.first().is_some_and(|target| target == first);
                    let full = target.iter().chain(&rest[1..]).cloned().collect();
                    let expanded = Named { scope: named.scope.clone(), path: full };
                    return if is_itself { None } else { self.absolute(source, &expanded) };
                }
                scope.push(first.to_owned());
                if rest.len() < 2 || !self.is_module(&scope) {
                    return None;
                }
                rest = &rest[1..];
            }
        }
        scope.extend_from_slice(rest);
        Some(scope)
    }

    /// The modules that own what a path names, and whether it names an item of theirs rather than the module.
    fn owners(&self, path: &[String], depth: usize) -> Vec<(Module, bool)> {
        let mut at = Vec::new();
        for (index, part) in path.iter().enumerate() {
            at.push(part.clone());
            if self.is_module(&at) {
                continue;
            }
            at.pop();
            let Some(source) = self.modules.get(&at).filter(|_| depth < 8) else { break };
            let again = |named: Named| {
                let full: Option<Module> = self.absolute(source, &named);
                full.map(|full| full.into_iter().chain(path[index + 1..].iter().cloned()).collect::<Module>())
            };
            if let Some(target) = source.aliases.get(&(at.clone(), part.clone())) {
                let passed = again(Named { scope: at.clone(), path: target.clone() });
                return passed.map(|full| self.owners(&full, depth + 1)).unwrap_or_default();
            }
            return vec![(at, true)];
        }
        vec![(at, false)]
    }

    pub fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (module, source) in &self.modules {
            for named in &source.named {
                let owners = self.absolute(source, named).map(|path| self.owners(&path, 0)).unwrap_or_default();
                for (to, is_item) in owners {
                    // A folder that holds the file is named on the way to something else.
                    let is_way = !is_item && module.starts_with(&to);
                    if to != *module && !is_way {
                        arrows.insert(Arrow { from: module.clone(), to });
                    }
                }
            }
        }
        arrows
    }

    /// The modules that stand in a circle with others of their folder.
    pub fn circles(&self) -> BTreeSet<String> {
        let mut levels: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for Arrow { from, to } in self.arrows() {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            let own = if shared == 0 { "lib" } else { "mod" };
            let node = |module: &Module| module.get(shared).cloned().unwrap_or_else(|| own.to_owned());
            let level = levels.entry(from[..shared].to_vec()).or_default();
            level.entry(node(&from)).or_default().insert(node(&to));
        }
        let mut found = BTreeSet::new();
        for (level, arrows) in levels {
            for node in arrows.keys().filter(|node| reaches(&arrows, node)) {
                let path: Vec<_> = level.iter().chain([node]).cloned().collect();
                found.insert(path.join("/"));
            }
        }
        found
    }
}

/// Whether a node comes back to itself.
fn reaches(arrows: &BTreeMap<String, BTreeSet<String>>, start: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = arrows.get(start).into_iter().flatten().collect();
    while let Some(node) = open.pop() {
        if node == start {
            return true;
        }
        if seen.insert(node) {
            open.extend(arrows.get(node).into_iter().flatten());
        }
    }
    false
}

/// `None` for tests, and for the program beside a library.
fn module_of(file: &Path, has_library: bool) -> Option<Module> {
    let mut parts: Vec<_> = PathBuf::from(file)
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let last = parts.last()?.clone();
    let is_program = parts.len() == 1 && last == "main" && has_library || parts[0] == "bin";
    if last == "tests" || is_program {
        return None;
    }
    if last == "mod" || parts.len() == 1 && ["lib", "main"].contains(&last.as_str()) {
        parts.pop();
    }
    Some(parts)
}
