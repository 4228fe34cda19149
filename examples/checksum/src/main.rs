//! Checksums a large file through a static call, while the call's target and a tracing hook are switched
//! under the running threads.
//!
//! `cargo xtask demo` builds and runs it. The file is cut into frames. For each frame the program calls
//! [`CHECKSUM`], which picks its implementation by the processor's features on the first call, and the hook
//! [`ON_FRAME`], which costs a nop while it is off.

mod crc32c;
mod program;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use static_call::StaticCall;

use crate::program::Program;

static_call::define! {
    /// Continues a CRC-32C over one frame.
    pub static CHECKSUM: fn(crc: u32, frame: &[u8]) -> u32 = detect;
    /// Tracing hook, called with the size of each frame.
    pub static ON_FRAME: Option<fn(bytes: usize)> = None;
}

/// The first target: looks at the processor, replaces itself and calls its choice. Many threads may enter it
/// at once.
fn detect(crc: u32, frame: &[u8]) -> u32 {
    let best = crc32c::best();
    if let Err(error) = CHECKSUM.update(best) {
        eprintln!("the checksum stays undecided: {error}");
    }
    best(crc, frame)
}

static TRACED_BYTES: AtomicU64 = AtomicU64::new(0);

fn trace(bytes: usize) {
    TRACED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// The two static calls that the demo looks at.
#[inline(never)]
fn next_frame(crc: u32, frame: &[u8]) -> u32 {
    ON_FRAME.call(frame.len());
    CHECKSUM.call(crc, frame)
}

fn checksum(file: &[u8]) -> u32 {
    file.chunks(64 << 10).fold(0, next_frame)
}

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).context("usage: checksum FILE")?;
    let file = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let independent = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&file);
    println!("file       {} ({:.1} MB)", path.display(), file.len() as f64 / 1e6);
    println!("mode       {} ({})", static_call::mode(), static_call::mode_reason());

    let program = Program::load()?;
    show_code(&program)?;

    ensure!(checksum(&file) == independent, "the checksum differs from what the crate crc computes");
    println!("CRC-32C    {independent:08x}, as the crate crc computes it\n");
    switch_under_load(&file, independent)?;
    show_keys(&program);
    Ok(())
}

/// Prints the instructions of both calls as the linker left them and after each kind of update.
fn show_code(program: &Program) -> Result<()> {
    let sites = program.sites_of(next_frame as *const ())?;
    println!("\nthe calls in next_frame(), instruction by instruction:");
    println!("  in the file");
    sites.iter().for_each(|site| println!("    {}", program.in_file(*site)));
    let now = |state: &str| {
        println!("  {state}");
        sites.iter().for_each(|site| println!("    {}", program.in_memory(*site)));
    };
    now("loaded: CHECKSUM is undecided, ON_FRAME is off");
    next_frame(0, b"the first call decides");
    now("after the first call");
    CHECKSUM.update(crc32c::by_table)?;
    ON_FRAME.update(Some(trace))?;
    now("after CHECKSUM.update(by_table) and ON_FRAME.update(Some(trace))");
    ON_FRAME.update(None)?;
    println!();
    Ok(())
}

/// Two threads checksum the file over and over, while this one switches both keys.
fn switch_under_load(file: &[u8], expected: u32) -> Result<()> {
    let stop = AtomicBool::new(false);
    let mut updates = 0u64;
    let passes: Result<u64> = std::thread::scope(|scope| {
        let work = || {
            let mut passes = 0;
            while !stop.load(Ordering::Relaxed) {
                let crc = checksum(file);
                ensure!(crc == expected, "wrong checksum {crc:08x} while the targets were switched");
                passes += 1;
            }
            Ok(passes)
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        let end = Instant::now() + Duration::from_secs(2);
        let mut switched = Ok(());
        while Instant::now() < end && switched.is_ok() {
            let by_table = updates.is_multiple_of(4);
            let target = if by_table { crc32c::by_table } else { crc32c::best() };
            let hook = by_table.then_some(trace as fn(usize));
            switched = CHECKSUM.update(target).and_then(|()| ON_FRAME.update(hook));
            updates += 2;
            std::thread::sleep(Duration::from_micros(200));
        }
        stop.store(true, Ordering::Relaxed);
        let passes = workers.map(|worker| worker.join().expect("a worker does not panic"));
        switched?;
        passes.into_iter().sum()
    });
    println!(
        "threads    2 threads checksummed the file {} times under {updates} updates: every result right; \
         {:.1} MB were traced\n",
        passes?,
        TRACED_BYTES.load(Ordering::Relaxed) as f64 / 1e6
    );
    Ok(())
}

fn show_keys(program: &Program) {
    let mode = static_call::mode();
    println!(
        "{:20} {:36} {:10} {:>6} {:>7} {:>12}",
        "key", "target", "mode", "sites", "direct", "trampoline"
    );
    let row = |name: &str, target: String, info: static_call::Info| {
        let (sites, direct, trampoline) = (info.sites, info.direct, info.through_trampoline);
        println!("{name:20} {target:36} {mode:10} {sites:6} {direct:7} {trampoline:12}");
    };
    row(CHECKSUM.name(), program.name_of(CHECKSUM.target() as usize), CHECKSUM.info());
    let hook = ON_FRAME.target().map_or("(off)".to_owned(), |target| program.name_of(target as usize));
    row(ON_FRAME.name(), hook, ON_FRAME.info());
    row("the whole process", String::new(), static_call::process_info());
}
