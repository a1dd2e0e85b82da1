//! Whether a form was sent from a page of ours: there are no keys yet, so a page elsewhere could make a browser send one. In: the headers
//! that browsers add and scripts cannot forge. Out: nothing, or why not. Who is no browser sends none of them and is let through. Pure.
//!
//! `Sec-Fetch-Site` decides where it is sent: over https and to loopback. Elsewhere it is `Origin`, which the policy `no-referrer` would
//! turn into `null`; hence the pages themselves say `same-origin`, which tells other sites as little.

use actix_web::{HttpRequest, http::header};

/// Why a form is refused.
pub fn refusal(request: &HttpRequest) -> Option<&'static str> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or(""));
    match (header("sec-fetch-site"), header(header::ORIGIN.as_str())) {
        (Some("same-origin" | "none"), _) | (None, None) => None,
        (Some(_), _) => Some("the form was sent from another site (Sec-Fetch-Site)"),
        (None, Some(origin)) => {
            let host = header(header::HOST.as_str()).unwrap_or("");
            let from = origin.split_once("://").map_or("", |(_, host)| host);
            let is_ours = !host.is_empty() && from.eq_ignore_ascii_case(host);
            (!is_ours).then_some("the form was sent from another site (Origin)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_pages_of_ours_send_forms() {
        let refused = |headers: &[(&str, &str)]| {
            let mut request = TestRequest::post().insert_header(("host", "logs.example:1323"));
            for pair in headers {
                request = request.insert_header(*pair);
            }
            refusal(&request.to_http_request()).is_some()
        };
        for (headers, is_refused) in [
            (vec![], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("sec-fetch-site", "")], true),
            // A proxy that changes Host, and the policy no-referrer.
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://outside")], false),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "null")], false),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "http://logs.example:1323")], true),
            (vec![("origin", "http://logs.example:1323")], false),
            (vec![("origin", "HTTPS://Logs.Example:1323")], false),
            (vec![("origin", "http://logs.example")], true),
            (vec![("origin", "http://logs.example:1323.evil.example")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "")], true),
        ] {
            assert_eq!(refused(&headers), is_refused, "{headers:?}");
        }
    }
}
