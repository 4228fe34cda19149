//! A report as one page of HTML, which needs nothing else: no script, no font, no picture.
//!
//! Names in a file are a stranger's. Only a constant gets into the page as it is; everything else goes
//! through [`Page::text`], which escapes it, and a policy in the page forbids scripts and requests.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::name::counted;
use crate::print::{branch_kind, compilers, file_and_line, function_name, overhead};
use crate::schema::{BranchKeyReport, Code, File, Indirect, KeyReport, LiveCall, LiveKey, Place, Process};

const STYLE: &str = include_str!("page.css");

/// A page in the making.
#[derive(Default)]
struct Page {
    out: String,
}

/// `a` and `b` in `"` or outside of tags: nothing in a text is taken for markup.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // They would turn the text around them (Unicode Annex 9), so that one name looks like another.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(character.escape_unicode());
            }
            _ => out.push(character),
        }
    }
}

impl Page {
    fn new(title: &str) -> Self {
        let mut page = Self::default();
        page.raw(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'\">\n<title>",
        );
        page.text(title);
        page.raw("</title>\n<style>\n");
        page.raw(STYLE);
        page.raw("</style>\n</head>\n<body>\n");
        page
    }

    /// Markup, which is a constant of this program.
    fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        escape(text, &mut self.out);
        self
    }

    /// A name or a path. A narrow screen breaks it behind `::` or `/` rather than within a word.
    fn name(&mut self, name: &str) -> &mut Self {
        let parts = name.split_inclusive("::").flat_map(|part| part.split_inclusive('/'));
        for (number, part) in parts.enumerate() {
            self.raw(if number > 0 { "<wbr>" } else { "" }).text(part);
        }
        self
    }

    fn heading(&mut self, text: &str) -> &mut Self {
        self.raw("<h2>").text(text).raw("</h2>\n")
    }

    /// A row of a list of properties, unless it is unknown.
    fn property(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.raw("<dt>").raw(name).raw("</dt><dd class=\"mono\">").name(value).raw("</dd>");
        }
        self
    }

    fn figures(&mut self, figures: &[(&'static str, String)]) {
        self.raw("<ul class=\"figures\">\n");
        for (what, count) in figures {
            self.raw("<li><b>").text(count).raw("</b><span class=\"faint\">").raw(what).raw("</span></li>\n");
        }
        self.raw("</ul>\n");
    }

    fn verdict(&mut self, is_good: bool, good: &str, bad: &str, because: &[String]) {
        self.raw("<div class=\"verdict ")
            .raw(if is_good { "good" } else { "bad" })
            .raw("\" role=\"status\">");
        self.text(if is_good { good } else { bad });
        if !is_good {
            self.sentences(because);
        }
        self.raw("</div>\n");
    }

    fn sentences(&mut self, sentences: &[String]) {
        self.raw("<ul class=\"places\">\n");
        for sentence in sentences {
            self.raw("<li>").text(sentence).raw("</li>\n");
        }
        self.raw("</ul>\n");
    }

    /// A section with a list, unless that is empty.
    fn listed(&mut self, title: &str, sentences: &[String]) {
        if !sentences.is_empty() {
            self.heading(title).sentences(sentences);
        }
    }

    fn place(&mut self, kind: &str, place: &Place) {
        self.raw("<div class=\"where\"><span><code>").name(&function_name(place)).raw("</code>");
        if !kind.is_empty() {
            self.raw(" <span class=\"faint\">").text(kind).raw("</span>");
        }
        self.raw("</span><span class=\"faint mono\">");
        self.text(&format!("{:#x}", place.address)).raw("</span></div>\n");
        if let Some(dispatch) = place.dispatch {
            let compiler = place.compiler.as_deref().unwrap_or("an unknown compiler");
            self.raw(if dispatch == "inline" { "<div class=\"good\">" } else { "<div class=\"doubt\">" });
            self.text(dispatch).raw(" <span class=\"faint\">").text(compiler).raw("</span></div>\n");
        }
        let source = file_and_line(place.file.as_ref(), place.line);
        if !source.is_empty() {
            self.raw("<div class=\"mono\">").name(&source);
            for caller in &place.inlined_at {
                let at = file_and_line(caller.file.as_ref(), caller.line);
                self.raw("<br><span class=\"faint\">inlined into</span> ");
                self.name(if at.is_empty() { "?" } else { &at });
            }
            self.raw("</div>\n");
        }
    }

    fn codes(&mut self, codes: &[(&'static str, Option<&Code>)]) {
        if codes.iter().all(|(_, code)| code.is_none()) {
            return;
        }
        self.raw("<div class=\"code\">");
        for (when, code) in codes {
            if let Some(Code { bytes, does }) = code {
                self.raw("<span>").raw(when).raw("</span><code>").text(bytes).raw("</code><code>");
                self.name(does).raw("</code>");
            }
        }
        self.raw("</div>\n");
    }

    fn remark(&mut self, text: &str) {
        self.raw("<div class=\"doubt\">").text(text).raw("</div>\n");
    }

    /// The start of a list of calls, which is open if it is short.
    fn open(&mut self, title: &str, count: usize) {
        self.raw(if count <= 200 { "<details open><summary>" } else { "<details><summary>" });
        self.text(title).raw("</summary>\n<ol class=\"calls\">\n");
    }

    fn close(&mut self) {
        self.raw("</ol></details>\n");
    }

    fn places(&mut self, title: &str, places: &[Place]) {
        if places.is_empty() {
            return;
        }
        self.heading(title).raw("<div class=\"key\">");
        self.open(&counted(places.len(), "place"), places.len());
        for place in places {
            self.raw("<li>");
            self.place(place.key.as_deref().unwrap_or_default(), place);
            self.raw("</li>\n");
        }
        self.close();
        self.raw("</div>\n");
    }

    fn end(mut self) -> String {
        self.raw("<p class=\"faint\">static-call-inspect ").raw(env!("CARGO_PKG_VERSION"));
        self.raw("</p>\n</body>\n</html>\n");
        self.out
    }
}

/// The page about a file.
#[must_use]
pub fn file(file: &File) -> String {
    let mut page = Page::new(&format!("Static calls of {}", file.file));
    page.raw("<h1>").name(&file.file).raw("</h1>\n<p class=\"faint\">").text(&file.kind);
    page.text(&format!(", {} bytes", file.size)).raw("</p>\n");
    page.verdict(
        file.all_direct,
        match file.branches {
            0 => "Every call that is visible in this file can be made direct.",
            _ => "Every call that is visible in this file can be made direct, and every branch patched.",
        },
        "Not every call can be made direct:",
        &file.not_direct_because,
    );
    page.figures(&[
        ("keys", file.keys.len().to_string()),
        ("recorded calls", file.sites.to_string()),
        ("recorded branches", file.branches.to_string()),
        ("calls on trampolines", file.unrecorded.len().to_string()),
        (
            "calls by pointer",
            (file.left_indirect.iter().filter(|call| !call.is_value).count() + file.without_pass.len())
                .to_string(),
        ),
    ]);
    if !file.damage.is_empty() {
        page.listed("Damage", &file.damage);
    }
    if let Some(why) = file.idle_because {
        page.raw("<p class=\"bad\">").text(why).raw("</p>\n");
    }
    if !file.keys.is_empty() {
        page.heading("Keys");
    }
    for key in &file.keys {
        self::key(&mut page, file, key);
    }
    if !file.other_sites.is_empty() {
        page.heading("Recorded calls whose key is unknown").raw("<div class=\"key\">");
        page.open(&counted(file.other_sites.len(), "recorded call"), file.other_sites.len());
        for site in &file.other_sites {
            page.raw("<li>");
            page.place(site.kind.unwrap_or("?"), &site.place);
            page.raw("</li>\n");
        }
        page.close();
        page.raw("</div>\n");
    }
    if !file.branch_keys.is_empty() {
        page.heading("Keys of branches");
    }
    for key in &file.branch_keys {
        branch_key(&mut page, key);
    }
    page.places("Not recorded: branches to trampolines, which cannot become direct", &file.unrecorded);
    let (values, calls): (Vec<_>, Vec<_>) = file.left_indirect.iter().partition(|indirect| indirect.is_value);
    indirect(&mut page, "Not lowered: calls that load their key", &calls);
    indirect(&mut page, "Not calls: uses of a key's function pointer", &values);
    page.places("Not lowered: compiled without the pass", &file.without_pass);
    page.places(
        "Loads of a key's pointer, by calls that were not lowered or for use as a value",
        file.loads.as_deref().unwrap_or_default(),
    );
    let compilers = compilers(file).into_iter().map(|(compiler, [inline, trampoline, pointer])| {
        let compiler = compiler.unwrap_or("unknown");
        format!("{compiler}: {inline} inline, {trampoline} on trampolines, {pointer} by pointer")
    });
    page.listed("Calls by compiler", &compilers.collect::<Vec<_>>());
    page.listed("Crates that seem to be built without the pass", &file.crates_without_pass);
    page.listed("C or C++ that seems to be compiled without the pass", &file.files_without_pass);
    page.listed("Unknown", &file.unknown);
    if file.is_image {
        page.heading("Size").raw("<p>").text(&overhead(file)).raw("</p>\n");
    }
    page.end()
}

fn key(page: &mut Page, file: &File, key: &KeyReport) {
    page.raw("<section class=\"key\">\n<h3>").name(&key.name).raw("</h3>\n<dl>");
    page.property("type", key.ty.as_deref());
    page.property("initial target", key.default_target.as_deref());
    page.property("defined at", Some(&file_and_line(key.file.as_ref(), key.line)));
    page.property("symbol", key.symbol.as_deref());
    let address = key.address.map_or_else(|| "in another file".into(), |address| format!("{address:#x}"));
    page.property("address", Some(&address));
    page.raw("</dl>\n");
    let others = [
        (file.calls_of_trampoline(key), "on its trampoline"),
        (file.calls_by_pointer(key), "by its pointer"),
    ];
    for (count, how) in others.into_iter().filter(|(count, _)| *count > 0) {
        page.remark(&format!("{} {how}, listed below", counted(count, "call")));
    }
    if key.sites.is_empty() {
        page.raw("<p class=\"faint\">no recorded call</p>\n");
    } else {
        page.open(&counted(key.sites.len(), "recorded call"), key.sites.len());
        for site in &key.sites {
            page.raw("<li>");
            page.place(site.kind.unwrap_or("?"), &site.place);
            page.codes(&[("before", site.before.as_ref()), ("after", site.after.as_ref())]);
            if let Some(why) = site.stays_because {
                page.remark(&format!("stays on its trampoline: it {why}"));
            }
            page.raw("</li>\n");
        }
        page.close();
    }
    page.raw("</section>\n");
}

fn branch_key(page: &mut Page, key: &BranchKeyReport) {
    page.raw("<section class=\"key\">\n<h3>").name(&key.name).raw("</h3>\n<dl>");
    let state = key.is_on.map_or("not known", |is_on| if is_on { "on" } else { "off" });
    page.property("to begin with", Some(state));
    page.property("symbol", key.symbol.as_deref());
    page.raw("</dl>\n");
    let count = counted(key.branches.len(), if key.is_hook { "lazy call" } else { "recorded branch" });
    page.open(&count, key.branches.len());
    for branch in &key.branches {
        page.raw("<li>");
        page.place(branch_kind(key, branch), &branch.place);
        page.codes(&[("before", branch.before.as_ref()), ("after", branch.after.as_ref())]);
        if let Some(why) = branch.stays_because {
            page.remark(&format!("looks at its key: it {why}"));
        }
        page.raw("</li>\n");
    }
    page.close();
    page.raw("</section>\n");
}

fn indirect(page: &mut Page, title: &str, all: &[&Indirect]) {
    if all.is_empty() {
        return;
    }
    page.heading(title).raw("<div class=\"key\">");
    page.open(&counted(all.len(), "place"), all.len());
    for Indirect { reason, place, .. } in all {
        page.raw("<li>");
        page.place(place.key.as_deref().unwrap_or("?"), place);
        page.remark(reason);
        page.raw("</li>\n");
    }
    page.close();
    page.raw("</div>\n");
}

/// The page about a process.
#[must_use]
pub fn process(process: &Process) -> String {
    let mut page = Page::new(&format!("Static calls of process {}", process.pid));
    page.raw("<h1>").text(&format!("Process {}: ", process.pid)).name(&process.program).raw("</h1>\n");
    page.raw("<p class=\"faint\">");
    page.text(&format!("mode {}, writer {}", process.mode, process.writer)).raw("</p>\n");
    page.verdict(
        process.all_direct,
        match process.branches {
            0 => "Every recorded call is direct.",
            _ => "Every recorded call is direct, and every recorded branch is patched.",
        },
        "Not every call is direct:",
        &process.not_direct_because,
    );
    page.figures(&[
        ("keys", process.keys.len().to_string()),
        ("calls direct", format!("{} of {}", process.direct, process.sites)),
        ("branches patched", format!("{} of {}", process.patched_branches, process.branches)),
        ("images", process.images.len().to_string()),
    ]);
    if !process.keys.is_empty() {
        page.heading("Keys");
    }
    for (number, key) in process.keys.iter().enumerate() {
        live_key(&mut page, key, process.calls.iter().filter(|call| call.key_number == Some(number)));
    }
    if !process.branch_keys.is_empty() {
        page.heading("Keys of branches");
    }
    for key in &process.branch_keys {
        page.raw("<section class=\"key\">\n<h3>").name(&key.name).raw("</h3>\n<dl>");
        let state = key.is_on.map_or("not known", |is_on| if is_on { "on" } else { "off" });
        page.property("now", Some(state));
        page.property("wanted by", key.count.map(|count| count.to_string()).as_deref());
        page.property("updates", key.stores.map(|stores| stores.to_string()).as_deref());
        let patched = format!("{} of {}", key.patched_branches, key.branches);
        page.property("branches patched", Some(&patched));
        page.raw("</dl>\n</section>\n");
    }
    if !process.images.is_empty() {
        page.heading("Images");
    }
    for image in &process.images {
        page.raw("<section class=\"key\">\n<h3>").name(&image.file).raw("</h3>\n<dl>");
        page.property("state", Some(image.state));
        page.property("why not patched", image.reason.as_deref());
        page.property("keys", Some(&image.keys.to_string()));
        page.property("calls direct", Some(&format!("{} of {}", image.direct, image.sites)));
        page.property("branches patched", Some(&format!("{} of {}", image.patched_branches, image.branches)));
        page.raw("</dl>\n</section>\n");
    }
    page.places("Calls that are not direct", &process.indirect);
    page.listed("Unknown", &process.unknown);
    page.end()
}

fn live_key<'a>(page: &mut Page, key: &LiveKey, calls: impl Iterator<Item = &'a LiveCall>) {
    page.raw("<section class=\"key\">\n<h3>").name(&key.name).raw("</h3>\n<dl>");
    page.property("calls now", Some(key.target.as_deref().unwrap_or("?")));
    page.property("in", key.target_file.as_deref());
    page.property("updates", key.stores.map(|stores| stores.to_string()).as_deref());
    page.property(
        "trampolines patched",
        Some(&format!("{} of {}", key.patched_trampolines, key.trampolines)),
    );
    page.raw("</dl>\n");
    let calls: Vec<&LiveCall> = calls.collect();
    if calls.is_empty() {
        page.raw("<p class=\"faint\">no recorded call</p>\n</section>\n");
        return;
    }
    let title = format!("{} of {} direct", key.direct, counted(key.sites, "call"));
    page.open(&title, calls.len());
    for call in calls {
        page.raw("<li>");
        page.place(call.kind.unwrap_or("?"), &call.place);
        page.codes(&[("in the file", call.before.as_ref()), ("now", call.now.as_ref())]);
        page.raw("</li>\n");
    }
    page.close();
    page.raw("</section>\n");
}

/// Writes a page into a file at once: readers see the old one or the new one. A pipe or a device gets it as
/// it is.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write(path: &Path, page: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let is_other = fs::metadata(path).is_ok_and(|data| !data.is_file());
    let is_link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
    if is_other || is_link {
        return fs::write(path, page).with_context(cannot);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = builder.permissions(permissions).tempfile_in(directory).with_context(cannot)?;
    file.write_all(page.as_bytes()).with_context(cannot)?;
    file.persist(path).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabricated::{self, NAME, image};
    use crate::{budget::Budget, elf::Elf, report};

    /// A file's names may contain markup, and marks that turn text around.
    const HOSTILE: &[u8] = b"</h3><script>alert('1')</script><img src=\"x\" onerror=y>&\xe2\x80\xae\0";

    #[test]
    fn hostile_names_stay_text() {
        let [code, mut data] = image();
        data.put(NAME, HOSTILE);
        let bytes = fabricated::file([code, data], true);
        let budget = Budget::default();
        let elf = Elf::parse(&bytes, &budget).expect("an ELF file");
        let report = report::file(Path::new("a<b>\"'&.so"), &elf, &budget);
        assert!(report.keys[0].name.contains("<script>"), "{:?}", report.keys[0].name);
        let page = file(&report);
        for markup in ["<script", "<img", "onerror=y>&\u{202e}", "a<b>"] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
        let name = "&lt;/<wbr>h3&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/<wbr>script&gt;&lt;img \
                    src=&quot;x&quot; onerror=y&gt;&amp;\\u{202e}";
        assert!(page.contains(name), "{page}");
        assert!(page.contains("<title>Static calls of a&lt;b&gt;&quot;&#39;&amp;.so</title>"), "{page}");
        // Every tag is one of this program's, and each is closed.
        for tag in ["section", "details", "ol", "li", "div", "dl", "code", "span", "h3"] {
            let count = |start: String| page.matches(&start).count();
            let opened = count(format!("<{tag}>")) + count(format!("<{tag} "));
            assert_eq!(opened, count(format!("</{tag}>")), "{tag}");
        }
    }

    #[test]
    fn a_page_asks_nobody_for_anything() {
        let [code, data] = image();
        let bytes = fabricated::file([code, data], true);
        let budget = Budget::default();
        let elf = Elf::parse(&bytes, &budget).expect("an ELF file");
        let page = file(&report::file(Path::new("file"), &elf, &budget));
        for request in ["http:", "https:", "url(", "<link", "src=", "@import"] {
            assert!(!page.contains(request), "{request}");
        }
        assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme: dark"));
        // The code of both calls, before and after.
        assert!(page.contains("<code>call the trampoline of app::<wbr>KEY</code>"), "{page}");
        assert!(page.contains("<code>e8 "), "{page}");
        assert_eq!(page.matches("<span>after</span>").count(), 2, "{page}");
    }
}
