//! Watches a process: what its keys call, and how often that changes.
//!
//! A look is a report like any other; two of them are compared. The process is not stopped, and nothing in it
//! is changed.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::name::counted;
use crate::process;
use crate::schema::{LiveBranchKey, LiveImage, LiveKey, Process};
use crate::table::{Presentation, Role, Table, cell, figure, number, shorten};
use crate::terminal::{self, Screen};

/// How looks are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For people: a screen on a terminal, otherwise a line for each change.
    Text,
    /// A report in one line of JSON for each look.
    Json,
}

/// Watches a process until it ends, and says so.
///
/// # Errors
///
/// If there is no such process, or its memory cannot be read.
pub fn watch(
    pid: u32,
    interval: Duration,
    kind: Kind,
    presentation: impl Fn() -> Presentation,
) -> Result<()> {
    let signals = signals()?;
    let identity = Identity::of(pid);
    let mut watch = Watch::new(process::read(pid)?);
    // Between the two, another process may have got the number.
    if identity.is_none() || identity != Identity::of(pid) {
        bail!("process {pid} has just ended");
    }
    let mut screen = None;
    let mut is_read = true;
    match kind {
        Kind::Text if terminal::size().is_some() => screen = Some(Screen::enter().context("cannot print")?),
        Kind::Text => {
            let Process { program, mode, writer, .. } = &watch.process;
            is_read = say(&format!("process {pid}: {program}\nmode {mode}, writer {writer}\n"))?;
        }
        Kind::Json => is_read = say(&json(&watch.process)?)?,
    }
    while is_read {
        if let Some(screen) = &screen {
            let height = terminal::size().map_or(24, |(_, height)| height);
            screen.draw(&watch.screen(interval, &presentation(), height)).context("cannot print")?;
        }
        match signals.recv_timeout(interval) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(SIGWINCH) => continue,
            Ok(signal) => {
                // A shell wants to know by which signal a program ended, or that it stopped.
                let had_screen = screen.take().is_some();
                emulate_default_handler(signal).context("cannot end by a signal")?;
                if had_screen {
                    screen = Some(Screen::enter().context("cannot print")?);
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => bail!("signals are no longer received"),
        }
        let now = process::read(pid);
        if Identity::of(pid) != identity {
            break;
        }
        let changes = watch.look(now?, Instant::now());
        if kind == Kind::Json {
            is_read = say(&json(&watch.process)?)?;
        } else if screen.is_none() {
            let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
            is_read = say(&lines)?;
        }
    }
    drop(screen);
    if kind == Kind::Text {
        say(&format!("{}\n", watch.farewell()))?;
    }
    Ok(())
}

fn json(process: &Process) -> Result<String> {
    Ok(serde_json::to_string(process)? + "\n")
}

/// Prints at once, although a pipe would wait for more. False: nobody reads it any more (`| head`).
fn say(text: &str) -> Result<bool> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).context("cannot print"),
    }
}

/// A thread that receives the signals which end, stop or resize.
fn signals() -> Result<Receiver<i32>> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH]).context("cannot wait for signals")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(signal)));
    Ok(receiver)
}

/// What tells a process from a later one with the same number: when it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity(String);

impl Identity {
    /// None: there is no such process, or it has no memory any more.
    fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may contain anything. proc_pid_stat(5): field 3 is the state, and 22 the
        // time of the start.
        let fields: Vec<&str> = status.rsplit_once(") ")?.1.split(' ').collect();
        let has_memory = fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty());
        let is_alive = has_memory && !["Z", "X", "x"].contains(fields.first()?);
        is_alive.then(|| Self(fields.get(19).map(|&time| time.to_owned()).unwrap_or_default()))
    }
}

/// What was seen of a key.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Updates since the watch began.
    updates: u64,
    /// Updates between the last two looks.
    last: u64,
}

struct Watch {
    process: Process,
    start: Instant,
    at: Instant,
    /// The time between the last two looks.
    elapsed: Duration,
    /// By the addresses of keys.
    seen: HashMap<u64, Seen>,
    /// The latest changes.
    log: Vec<String>,
}

/// The most changes that are kept.
const LOG: usize = 1000;

/// What is compared of both kinds of keys.
struct State<'a> {
    address: u64,
    name: &'a str,
    /// What it calls, or whether it is on.
    value: String,
    stores: Option<u32>,
}

impl<'a> From<&'a LiveKey> for State<'a> {
    fn from(key: &'a LiveKey) -> Self {
        let value = key.target.clone().unwrap_or_else(|| "?".into());
        Self { address: key.address, name: &key.name, value, stores: key.stores }
    }
}

impl<'a> From<&'a LiveBranchKey> for State<'a> {
    fn from(key: &'a LiveBranchKey) -> Self {
        let state = key.is_on.map_or("?", |is_on| if is_on { "on" } else { "off" });
        let value = match key.count {
            Some(count @ 2..) => format!("{state} ({count} want it)"),
            _ => state.to_owned(),
        };
        Self { address: key.address, name: &key.name, value, stores: key.stores }
    }
}

/// The keys of a process. A hook that is called lazily is one of its keys, too.
fn states(process: &Process) -> Vec<State<'_>> {
    let keys: Vec<State<'_>> = process.keys.iter().map(State::from).collect();
    let known: Vec<u64> = keys.iter().map(|key| key.address).collect();
    let branches = process.branch_keys.iter().filter(|key| !known.contains(&key.address));
    let branches: Vec<State<'_>> = branches.map(State::from).collect();
    keys.into_iter().chain(branches).collect()
}

/// The counter of stores has this many bits.
const COUNTER: u32 = 30;

impl Watch {
    fn new(process: Process) -> Self {
        let now = Instant::now();
        Self { process, start: now, at: now, elapsed: Duration::ZERO, seen: HashMap::new(), log: Vec::new() }
    }

    /// Takes a new look. What has changed since the last one, in lines.
    fn look(&mut self, now: Process, at: Instant) -> Vec<String> {
        self.elapsed = at - self.at;
        let time = format!("+{:.1} s", (at - self.start).as_secs_f64());
        let mut changes = Vec::new();
        let before = std::mem::replace(&mut self.process, now);
        let mut say = |what: String| changes.push(format!("{time}  {what}"));
        for (what, was, is) in [
            ("program", &*before.program, &*self.process.program),
            ("mode", before.mode, self.process.mode),
            ("writer", before.writer, self.process.writer),
        ] {
            if was != is {
                say(format!("{what}: {was} \u{2192} {is}"));
            }
        }
        for image in &self.process.images {
            let old = before.images.iter().find(|old| same_image(old, image));
            let calls = format!("{} of {} calls are direct", image.direct, image.sites);
            match old {
                None => say(format!("loaded {}: {}, {calls}", image.file, image.state)),
                Some(old) if (old.state, old.direct) != (image.state, image.direct) => {
                    say(format!("{}: {}, {calls}", image.file, image.state));
                }
                Some(_) => {}
            }
        }
        for old in &before.images {
            if !self.process.images.iter().any(|image| same_image(image, old)) {
                say(format!("unloaded {}", old.file));
            }
        }
        let old: HashMap<u64, State<'_>> =
            states(&before).into_iter().map(|key| (key.address, key)).collect();
        for key in states(&self.process) {
            let seen = self.seen.entry(key.address).or_default();
            seen.last = 0;
            let Some(old) = old.get(&key.address).filter(|old| old.name == key.name) else { continue };
            if let (Some(was), Some(is)) = (old.stores, key.stores) {
                seen.last = u64::from(is.wrapping_sub(was) & ((1 << COUNTER) - 1));
                seen.updates += seen.last;
            }
            let rate = rate(seen.last, self.elapsed);
            let updates = counted(seen.last as usize, "update");
            if old.value != key.value {
                say(format!(
                    "{}: {} \u{2192} {} ({updates}, {rate} a second)",
                    key.name, old.value, key.value
                ));
            } else if seen.last > 0 {
                say(format!("{}: {} again ({updates}, {rate} a second)", key.name, key.value));
            }
        }
        self.at = at;
        self.log.extend(changes.iter().cloned());
        let most = self.log.len().saturating_sub(LOG);
        self.log.drain(..most);
        changes
    }

    /// What a terminal of this many lines shows.
    fn screen(&self, interval: Duration, presentation: &Presentation, height: usize) -> String {
        let process = &self.process;
        let mut out =
            presentation.paragraph("", Role::Title, &format!("process {}: {}", process.pid, process.program));
        out += &presentation.paragraph(
            "",
            Role::Plain,
            &format!(
                "mode {}, writer {}; {} of {} calls direct; watched for {:.0} s, every {} s (Ctrl-C ends)",
                process.mode,
                process.writer,
                process.direct,
                process.sites,
                (self.at - self.start).as_secs_f64(),
                interval.as_secs_f64()
            ),
        );
        let mut keys = states(process);
        let updates = |key: &State<'_>| self.seen.get(&key.address).map_or(0, |seen| seen.updates);
        // The sort is stable.
        keys.sort_by_key(|key| std::cmp::Reverse(updates(key)));
        // The changes get a third of the screen.
        let log = self.log.len().min(height / 3);
        let room = height.saturating_sub(out.lines().count() + 3 + log + usize::from(log > 0) * 2);
        let mut table = Table::new(&["key", "now", "updates", "a second", "direct", "of"]);
        for key in keys.iter().take(room.max(1)) {
            let seen = self.seen.get(&key.address).cloned().unwrap_or_default();
            let role = if seen.last > 0 { Role::Good } else { Role::Plain };
            let [direct, all] = self.places(key.address);
            table.row([
                cell(Role::Name, key.name),
                cell(role, key.value.clone()),
                number(seen.updates as usize),
                figure(if seen.last > 0 { Role::Good } else { Role::Faint }, rate(seen.last, self.elapsed)),
                number(direct),
                number(all),
            ]);
        }
        out += "\n";
        out += &table.print(presentation);
        if let Some(more @ 1..) = keys.len().checked_sub(room.max(1)) {
            out += &presentation.paint(Role::Faint, &format!("  and {} more", counted(more, "key")));
            out += "\n";
        }
        if log > 0 {
            out += &format!("\n{}\n", presentation.paint(Role::Title, "changes:"));
            for line in &self.log[self.log.len() - log..] {
                let width = presentation.width.unwrap_or(usize::MAX).saturating_sub(2);
                out += &format!("  {}\n", shorten(line, width));
            }
        }
        out
    }

    /// How many of a key's calls and branches are direct or patched, and how many it has.
    fn places(&self, address: u64) -> [usize; 2] {
        let keys = self.process.keys.iter().filter(|key| key.address == address);
        let branches = self.process.branch_keys.iter().filter(|key| key.address == address);
        keys.map(|key| [key.direct, key.sites])
            .chain(branches.map(|key| [key.patched_branches, key.branches]))
            .fold([0, 0], |[direct, all], [more, of]| [direct + more, all + of])
    }

    fn farewell(&self) -> String {
        let updates: u64 = self.seen.values().map(|seen| seen.updates).sum();
        let keys = self.seen.values().filter(|seen| seen.updates > 0).count();
        let seen = match keys {
            0 => "no update was seen".into(),
            _ => format!("{} of {} were seen", counted(updates as usize, "update"), counted(keys, "key")),
        };
        let seconds = self.start.elapsed().as_secs_f64();
        format!("process {} has ended after {seconds:.1} s: {seen}", self.process.pid)
    }
}

fn same_image(one: &LiveImage, other: &LiveImage) -> bool {
    (&one.file, one.base) == (&other.file, other.base)
}

/// Updates a second.
fn rate(updates: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { updates as f64 / seconds } else { 0.0 };
    if rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}
