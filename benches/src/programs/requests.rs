//! A loop that parses requests and decides on them, with ten hooks for policies.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::case::Case;

/// The data that policies inspect.
#[derive(Clone, Copy)]
pub(crate) struct Request<'text> {
    path: &'text str,
    agent: &'text str,
    length: u64,
}

hook! { mod admit: fn(request: &crate::requests::Request<'_>) }
hook! { mod authenticate: fn(request: &crate::requests::Request<'_>) }
hook! { mod authorize: fn(request: &crate::requests::Request<'_>) }
hook! { mod limit: fn(request: &crate::requests::Request<'_>) }
hook! { mod rewrite: fn(request: &crate::requests::Request<'_>) }
hook! { mod cache: fn(request: &crate::requests::Request<'_>) }
hook! { mod trace: fn(request: &crate::requests::Request<'_>) }
hook! { mod audit: fn(request: &crate::requests::Request<'_>) }
hook! { mod measure: fn(request: &crate::requests::Request<'_>) }
hook! { mod log: fn(request: &crate::requests::Request<'_>) }

static SEEN: AtomicU64 = AtomicU64::new(0);

/// The policies do almost nothing, and each does something different.
#[inline(never)]
fn policy<const NUMBER: usize>(request: &Request<'_>) {
    let seen = request.path.len() + NUMBER * request.agent.len();
    SEEN.store(SEEN.load(Ordering::Relaxed) + seen as u64 + request.length, Ordering::Relaxed);
}

macro_rules! around {
    ($first:path, $second:path, $third:path, $fourth:path, $fifth:path, $sixth:path, $seventh:path,
        $eighth:path, $ninth:path, $tenth:path) => {
        || {
            serve(
                |request| {
                    $first(request);
                    $second(request);
                    $third(request);
                    $fourth(request);
                    $fifth(request);
                },
                |request| {
                    $sixth(request);
                    $seventh(request);
                    $eighth(request);
                    $ninth(request);
                    $tenth(request);
                },
            )
        }
    };
}

const REQUESTS: [&str; 8] = [
    "GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: curl/8.5\r\nContent-Length: 0\r\n\r\n",
    "GET /index.html?lang=en HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
    "POST /api/v1/orders HTTP/1.1\r\nHost: api.example.org\r\nUser-Agent: client/2.1\r\nContent-Length: \
     512\r\n\r\n",
    "GET /static/app.js HTTP/1.1\r\nHost: cdn.example.org\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n",
    "PUT /api/v1/orders/17 HTTP/1.1\r\nHost: api.example.org\r\nContent-Length: 64\r\nUser-Agent: \
     client/2.1\r\n\r\n",
    "GET /health HTTP/1.1\r\nUser-Agent: probe\r\n\r\n",
    "GET /a/rather/long/path/to/some/picture.png HTTP/1.1\r\nHost: cdn.example.org\r\nUser-Agent: \
     Mozilla/5.0\r\n\r\n",
    "DELETE /api/v1/orders/18 HTTP/1.1\r\nHost: api.example.org\r\nUser-Agent: client/2.0\r\n\r\n",
];
const TIMES: usize = 500;

fn parse(text: &str) -> Option<Request<'_>> {
    let (first, mut rest) = text.split_once("\r\n")?;
    let path = first.split(' ').nth(1)?;
    let mut request = Request { path, agent: "", length: 0 };
    while let Some((line, next)) = rest.split_once("\r\n") {
        rest = next;
        match line.split_once(": ") {
            Some(("User-Agent", agent)) => request.agent = agent,
            Some(("Content-Length", length)) => request.length = length.parse().ok()?,
            _ => {}
        }
    }
    Some(request)
}

#[inline(always)]
fn serve(before: impl Fn(&Request<'_>), after: impl Fn(&Request<'_>)) -> u64 {
    let mut answers = 0;
    for text in std::hint::black_box(&REQUESTS).iter().cycle().take(TIMES * REQUESTS.len()) {
        let Some(request) = parse(text) else { continue };
        before(&request);
        answers += request.length + request.path.len() as u64;
        after(&request);
    }
    answers
}

pub(crate) fn hooks(are_on: bool) {
    macro_rules! set {
        ($($name:ident $number:literal),*) => { $($name::set(are_on.then_some(policy::<$number> as _));)* };
    }
    set!(
        admit 0, authenticate 1, authorize 2, limit 3, rewrite 4, cache 5, trace 6, audit 7, measure 8, log 9
    );
}

pub(crate) fn cases(hooks: &str) -> Vec<Case<'static>> {
    let case = |form: &str, run: fn() -> u64| Case {
        name: format!("requests/ten hooks {hooks}/{form}"),
        amount: TIMES * REQUESTS.len(),
        run: Box::new(run),
    };
    let direct = if hooks == "on" {
        around!(
            policy::<0>,
            policy::<1>,
            policy::<2>,
            policy::<3>,
            policy::<4>,
            policy::<5>,
            policy::<6>,
            policy::<7>,
            policy::<8>,
            policy::<9>
        ) as fn() -> u64
    } else {
        || serve(|_| (), |_| ())
    };
    vec![
        case("direct", direct),
        case(
            "static",
            around!(
                admit::by_key,
                authenticate::by_key,
                authorize::by_key,
                limit::by_key,
                rewrite::by_key,
                cache::by_key,
                trace::by_key,
                audit::by_key,
                measure::by_key,
                log::by_key
            ),
        ),
        case(
            "pointer",
            around!(
                admit::by_pointer,
                authenticate::by_pointer,
                authorize::by_pointer,
                limit::by_pointer,
                rewrite::by_pointer,
                cache::by_pointer,
                trace::by_pointer,
                audit::by_pointer,
                measure::by_pointer,
                log::by_pointer
            ),
        ),
    ]
}
