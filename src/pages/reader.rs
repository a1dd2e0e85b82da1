//! What the browser says of its reader. In: a request. Out: the time zone, which a script of ours keeps in a cookie.

use actix_web::{HttpRequest, http::header};

use super::when::Zone;

/// The reader's time zone; UTC if it is not known.
pub fn zone(request: &HttpRequest) -> Zone {
    let cookies = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let zone = cookies.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix("tz="));
    zone.and_then(|zone| Zone::parse(zone).ok()).unwrap_or_default()
}
