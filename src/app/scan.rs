//! `menshen scan`: judges the messages of a file or of standard input, one a line, in order.
//!
//! Constant memory: one thread reads chunks of lines, one per core judges them, this one writes; a bounded queue of
//! receipts keeps the order, and a slow reader of our output stops everything before it.
//! Every line gets exactly one line of output (blank lines of NDJSON none): a verdict, or an error object when it
//! cannot be judged. With `--draft` only messages that the draft treats differently do.

mod draft;
mod reader;
mod report;
mod row;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::wordlists::{from_file, given};
use crate::clock::Stopwatch;
use crate::interception::{Config, POLICY_DEFAULT, Policy, Ruleset, Scratch, WordlistSource};
use reader::{Chunk, Chunks};
use report::Tally;

/// Longest line in bytes; a longer one is skipped with an error.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Chunks that may wait for each thread.
const CHUNKS_PER_THREAD: usize = 4;

/// Judge the messages of a file or of standard input, one a line
#[derive(Clone, Debug, clap::Args)]
pub struct ScanArgs {
    /// Wordlist to use instead of the shipped ones, one `term` or `term<TAB>category` a line; may be repeated
    #[arg(long = "wordlist", value_name = "FILE")]
    pub wordlists: Vec<PathBuf>,
    /// Wordlist to try: it takes the place of the one of its name, or stands beside the others. Shows only messages
    /// that are treated differently with it
    #[arg(long, value_name = "FILE")]
    pub draft: Option<PathBuf>,
    /// Policy: `relaxed`, `standard` or `strict`
    #[arg(long, value_name = "NAME", default_value = POLICY_DEFAULT)]
    pub policy: String,
    /// How messages are written: plain text, or NDJSON objects with `text` and perhaps `id` [default: by the
    /// file's name, else text]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// File with one message a line [default: standard input]
    pub file: Option<PathBuf>,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line: `{"id": …, "text": "…"}`.
    Ndjson,
    /// The line is the message.
    Text,
}

/// One chunk on its way to a thread, and where its output goes.
type Job = (Chunk, SyncSender<Judged>);

/// What became of one chunk.
struct Judged {
    output: Vec<u8>,
    tally: Tally,
    /// Handed back for its buffers.
    chunk: Chunk,
}

/// Judges everything; verdicts go to standard output, rate and totals to standard error.
///
/// # Errors
/// When a list, the input or the output fails; a closed output is a quiet end.
pub fn run(args: &ScanArgs) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let lists = given(&args.wordlists)?;
    let ruleset = compile(&lists)?;
    let Some(policy) = ruleset.policy(&args.policy) else {
        let names: Vec<_> = ruleset.policies().map(|p| p.name.as_str()).collect();
        bail!("no policy is named `{}`; there are: {}", args.policy, names.join(", "));
    };
    let compiled = watch.elapsed();

    let (input, bytes) = open(args.file.as_deref())?;
    let format = args.format.unwrap_or_else(|| format_of(args.file.as_deref()));
    let progress = progress(bytes);
    if let Some(file) = &args.draft {
        let draft = compile(&draft::with(lists, from_file(file)?.unrestricted()))?;
        return draft::run(&ruleset, &draft, policy, format, input, &mut io::stdout().lock());
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let watch = Stopwatch::start();
    let mut out = io::stdout().lock();
    let tally = scan(&ruleset, policy, format, input, &mut out, threads, &progress)?;
    progress.finish_and_clear();
    let Some(tally) = tally else { return Ok(()) };
    report::write(&tally, watch.elapsed(), compiled, &ruleset, policy, threads).context("write totals")
}

fn compile(lists: &[WordlistSource]) -> anyhow::Result<Ruleset> {
    let terms: usize = lists.iter().map(|l| l.terms.len() + l.allow.len()).sum();
    // On a command line the limits that protect a gateway are the user's business.
    let limits = Config { terms_max: terms, wordlists_max: lists.len(), ..Config::default() };
    let (ruleset, problems) = Ruleset::compile("scan", lists, Vec::new(), &limits)?;
    if !problems.is_empty() {
        let count = problems.len();
        writeln!(io::stderr(), "{count} lines of the wordlists have problems: see `menshen wordlist lint`")?;
    }
    Ok(ruleset)
}

fn open(path: Option<&Path>) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
    let Some(path) = path else { return Ok((Box::new(io::stdin()), None)) };
    let file = File::open(path).with_context(|| format!("open `{}`", path.display()))?;
    let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    Ok((Box::new(file), bytes))
}

fn format_of(path: Option<&Path>) -> Format {
    match path.and_then(Path::extension).and_then(|e| e.to_str()) {
        Some("ndjson" | "jsonl") => Format::Ndjson,
        Some(_) | None => Format::Text,
    }
}

fn progress(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Runs the threads; returns the totals, or nothing when nobody reads the output any more.
fn scan(
    ruleset: &Ruleset,
    policy: &Policy,
    format: Format,
    input: impl Read + Send,
    out: &mut impl Write,
    threads: usize,
    progress: &ProgressBar,
) -> anyhow::Result<Option<Tally>> {
    let waiting = threads * CHUNKS_PER_THREAD;
    let (jobs, work) = sync_channel::<Job>(waiting);
    // One receipt per chunk, in the order of the input; its number bounds all chunks in flight.
    let (receipts, results) = sync_channel::<io::Result<Receiver<Judged>>>(waiting);
    let (spent, recycled) = sync_channel::<Chunk>(waiting);
    let work = Mutex::new(work);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| judge_chunks(ruleset, policy, format, &work));
        }
        scope.spawn(move || read_chunks(input, &jobs, &receipts, &recycled));
        let mut total = Tally::default();
        for result in results {
            let judged = result.context("read the input")?.recv().context("a judging thread has ended")?;
            match out.write_all(&judged.output) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(None),
                Err(error) => return Err(error).context("write a verdict"),
            }
            progress.inc(judged.tally.bytes);
            total.add(judged.tally);
            _ = spent.try_send(judged.chunk); // A full queue only means that a buffer is not reused.
        }
        Ok(Some(total))
        // Leaving drops `results`: the reader's next receipt fails, it ends, and so do the judging threads.
    })
}

fn read_chunks(
    input: impl Read,
    jobs: &SyncSender<Job>,
    receipts: &SyncSender<io::Result<Receiver<Judged>>>,
    recycled: &Receiver<Chunk>,
) {
    let mut chunks = Chunks::new(BufReader::with_capacity(reader::CHUNK_BYTES, input));
    loop {
        let mut chunk = recycled.try_recv().unwrap_or_default();
        let receipt = match chunks.read(&mut chunk) {
            Ok(false) => return,
            Ok(true) => {
                let (done, receipt) = sync_channel(1);
                if jobs.send((chunk, done)).is_err() {
                    return;
                }
                Ok(receipt)
            }
            Err(error) => Err(error),
        };
        let failed = receipt.is_err();
        if receipts.send(receipt).is_err() || failed {
            return;
        }
    }
}

fn judge_chunks(ruleset: &Ruleset, policy: &Policy, format: Format, work: &Mutex<Receiver<Job>>) {
    let mut scratch = Scratch::default();
    loop {
        // The lock is held while waiting, so that one idle thread waits for work and the others for the lock.
        let Some((chunk, done)) = work.lock().ok().and_then(|work| work.recv().ok()) else { return };
        let (mut output, mut tally) = (Vec::new(), Tally::default());
        for (number, line) in chunk.lines() {
            tally.bytes += line.bytes();
            row::judge_line(ruleset, policy, format, number, line, &mut scratch, &mut output, &mut tally);
        }
        _ = done.send(Judged { output, tally, chunk }); // The writer may have ended; then nobody waits.
    }
}

#[cfg(test)]
mod tests;
