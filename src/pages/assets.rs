//! Static files, inside the binary. In: a name with a hash of the content. Out: the file, to be kept for ever, because another content
//! has another name. htmx comes as it was published; its hash stands in static/SHA256SUMS.

use std::{io::Write, sync::OnceLock};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use flate2::{Compression, write::GzEncoder};

pub use crate::search::answer::takes_gzip;

const FILES: &[(&str, &str, &[u8])] = &[
    ("htmx.js", "text/javascript; charset=utf-8", include_bytes!("../../static/htmx-2.0.11.min.js")),
    ("page.js", "text/javascript; charset=utf-8", include_bytes!("../../static/page.js")),
    ("page.css", "text/css; charset=utf-8", include_bytes!("../../static/page.css")),
    ("theme.js", "text/javascript; charset=utf-8", include_bytes!("../../static/theme.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../static/icon.svg")),
    ("message.css", "text/css; charset=utf-8", include_bytes!("../../static/message.css")),
    ("trace.css", "text/css; charset=utf-8", include_bytes!("../../static/trace.css")),
    ("tail.js", "text/javascript; charset=utf-8", include_bytes!("../../static/tail.js")),
    ("tail.css", "text/css; charset=utf-8", include_bytes!("../../static/tail.css")),
    ("views.css", "text/css; charset=utf-8", include_bytes!("../../static/views.css")),
    ("patterns.css", "text/css; charset=utf-8", include_bytes!("../../static/patterns.css")),
    ("complete.css", "text/css; charset=utf-8", include_bytes!("../../static/complete.css")),
    ("complete.js", "text/javascript; charset=utf-8", include_bytes!("../../static/complete.js")),
];

/// The static files by name.
pub struct Assets {
    files: Vec<File>,
}

struct File {
    name: &'static str,
    path: String,
    kind: &'static str,
    bytes: &'static [u8],
    gzip: Vec<u8>,
}

impl Assets {
    pub fn get() -> &'static Self {
        static ASSETS: OnceLock<Assets> = OnceLock::new();
        ASSETS.get_or_init(|| Assets { files: FILES.iter().copied().map(File::new).collect() })
    }

    /// The address of a file of ours.
    pub fn url(&self, name: &str) -> &str {
        let file = self.files.iter().find(|file| file.name == name);
        &file.expect("templates name files that there are").path
    }
}

impl File {
    fn new((name, kind, bytes): (&'static str, &'static str, &'static [u8])) -> Self {
        let hash = blake3::hash(bytes).to_hex();
        let path = format!("/static/{}/{name}", &hash[..12]);
        Self { name, path, kind, bytes, gzip: gzip(bytes, Compression::best()) }
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
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let templates: Vec<String> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert!(templates.len() > 5);
        for template in templates {
            // A link is a link: the search answers htmx with nothing but more rows.
            for forbidden in ["safe", "<style", " style=", "<script>", " onclick", "javascript:", "hx-boost"]
            {
                assert!(!template.contains(forbidden), "{forbidden} in {template}");
            }
        }
    }

    #[test]
    fn everything_of_a_visit_is_small() {
        let bytes: usize = FILES.iter().map(|(_, _, bytes)| gzip(bytes, Compression::best()).len()).sum();
        assert!(bytes < 48 << 10, "{bytes} bytes");
    }
}
