//! What is fuzzed (`just fuzz`) holds of the seeds that a run begins with.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library of its own, too")]
mod fuzz;

use std::{fs, path::Path};

#[test]
fn every_seed_holds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for (target, run) in [("payload", fuzz::payload as fn(&[u8])), ("catalog", fuzz::catalog)] {
        let files: Vec<_> =
            fs::read_dir(seeds.join(target)).expect("seeds").map(|file| file.expect("a file")).collect();
        assert!(files.len() > 3, "{target} has hardly any seeds");
        files.iter().for_each(|seed| run(&fs::read(seed.path()).expect("a seed")));
    }
    let expressions = fs::read_to_string(seeds.join("expression.txt")).expect("seeds");
    assert!(expressions.lines().count() > 100);
    expressions.lines().for_each(|expression| fuzz::expression(expression.as_bytes()));
}
