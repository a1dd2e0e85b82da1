//! Static files, inside the binary. In: a name with a hash of the content. Out: the file, to be kept for ever, because another content
//! has another name. htmx comes as it was published; its hash stands in static/SHA256SUMS.

use std::{io::Write, sync::OnceLock};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use flate2::{Compression, write::GzEncoder};

const FILES: [(&str, &str, &[u8]); 7] = [
    ("htmx.js", "text/javascript; charset=utf-8", include_bytes!("../../static/htmx-2.0.11.min.js")),
    ("page.js", "text/javascript; charset=utf-8", include_bytes!("../../static/page.js")),
    ("page.css", "text/css; charset=utf-8", include_bytes!("../../static/page.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../static/icon.svg")),
    ("patterns.css", "text/css; charset=utf-8", include_bytes!("../../static/patterns.css")),
    ("complete.css", "text/css; charset=utf-8", include_bytes!("../../static/complete.css")),
    ("complete.js", "text/javascript; charset=utf-8", include_bytes!("../../static/complete.js")),
];

/// Addresses of the static files.
pub struct Assets {
    pub htmx: String,
    pub script: String,
    pub style: String,
    pub icon: String,
    pub patterns_style: String,
    pub complete_style: String,
    pub complete_script: String,
    files: Vec<File>,
}

struct File {
    path: String,
    kind: &'static str,
    bytes: &'static [u8],
    gzip: Vec<u8>,
}

impl Assets {
    pub fn get() -> &'static Self {
        static ASSETS: OnceLock<Assets> = OnceLock::new();
        ASSETS.get_or_init(|| {
            let files: Vec<File> = FILES.into_iter().map(File::new).collect();
            let path = |at: usize| files[at].path.clone();
            Self {
                htmx: path(0),
                script: path(1),
                style: path(2),
                icon: path(3),
                patterns_style: path(4),
                complete_style: path(5),
                complete_script: path(6),
                files,
            }
        })
    }
}

impl File {
    fn new((name, kind, bytes): (&'static str, &'static str, &'static [u8])) -> Self {
        let hash = blake3::hash(bytes).to_hex();
        let path = format!("/static/{}/{name}", &hash[..12]);
        Self { path, kind, bytes, gzip: gzip(bytes, Compression::best()) }
    }
}

/// Registers `/static/…`.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/static/{hash}/{name}").route(web::get().to(serve)).route(web::head().to(serve)),
    );
}

async fn serve(request: HttpRequest) -> HttpResponse {
    let file = Assets::get().files.iter().find(|file| file.path == request.path());
    let Some(file) = file else { return super::answer::not_found(&request) };
    let mut answer = HttpResponse::Ok();
    answer.content_type(file.kind);
    answer.insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"));
    answer.insert_header((header::VARY, "accept-encoding"));
    if takes_gzip(&request) {
        answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(file.gzip.as_slice())
    } else {
        answer.body(file.bytes)
    }
}

/// True if the client reads gzip.
pub fn takes_gzip(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|weight| weight == "q=0")
        })
    })
}

pub fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory succeeds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn htmx_is_as_it_was_published() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/static");
        let check =
            std::process::Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(folder).output();
        let check = check.unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        assert!(String::from_utf8_lossy(&check.stdout).contains("htmx-2.0.11.min.js: OK"));
    }

    #[test]
    fn templates_escape_everything_and_hold_no_script_or_style() {
        for template in [
            include_str!("../../templates/layout.html"),
            include_str!("../../templates/search.html"),
            include_str!("../../templates/record.html"),
            include_str!("../../templates/problem.html"),
            include_str!("../../templates/patterns.html"),
        ] {
            for forbidden in ["safe", "<style", " style=", "<script>", " onclick", "javascript:"] {
                assert!(!template.contains(forbidden), "{forbidden}");
            }
        }
    }

    #[test]
    fn everything_of_a_visit_is_small() {
        let bytes: usize = FILES.iter().map(|(_, _, bytes)| bytes.len()).sum();
        assert!(bytes < 80 << 10, "{bytes} bytes");
    }
}
