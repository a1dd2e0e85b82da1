//! Shows records. In: GET requests whose query string is the whole state. Out: pages, and parts of pages for htmx.

pub mod answer;
pub mod assets;
pub mod context;
pub mod entry;
pub mod explorer;
pub mod fields;
pub mod form;
pub mod form_body;
pub mod json_lines;
pub mod line;
pub mod links;
pub mod message;
pub mod origin;
pub mod patterns;
pub mod pieces;
pub mod problem;
pub mod reader;
pub mod record;
pub mod tail;
pub mod text;
pub mod trace;
pub mod views;
pub mod when;

use actix_web::web;

pub use answer::page_headers;

/// Registers the pages; takes [`crate::search::State`] from the app's data.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(assets::routes)
        .configure(views::routes)
        .route("/tail", web::get().to(tail::follow))
        .service(
            web::resource("/").route(web::get().to(explorer::page)).route(web::head().to(explorer::page)),
        )
        .service(
            web::resource("/patterns")
                .route(web::get().to(patterns::page))
                .route(web::head().to(patterns::page)),
        )
        .service(
            web::resource("/logs/{id}")
                .route(web::get().to(record::page))
                .route(web::head().to(record::page)),
        )
        .service(
            web::resource("/logs/{id}/context")
                .route(web::get().to(context::page))
                .route(web::head().to(context::page)),
        )
        .service(
            web::resource(["/traces", "/traces/{traceId}"])
                .route(web::get().to(trace::page))
                .route(web::head().to(trace::page)),
        );
}
