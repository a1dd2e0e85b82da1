//! `GET /`, `/api/logs`, `/logs/{id}`: finds records.
