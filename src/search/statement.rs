//! A statement on its way to Postgres: text, and values that travel beside it with their types, so that none has to be prepared first. One
//! that was prepared may be planned without its values, so what would be a constant there is a value of its own type: a cast would be made
//! for each row. Pure.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

use super::as_of::AsOf;
use crate::record::Timestamp;

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// A timestamp as Postgres' binary format has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_i64(self.0.postgres_micros());
        Ok(IsNull::No)
    }
    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Self(Timestamp::from_postgres_micros(i64::from_be_bytes(raw.try_into()?))))
    }
    accepts!(TIMESTAMPTZ);
}

/// JSON or a path into it: a text behind the number of its format.
#[derive(Debug)]
struct Json<'a>(&'a str);

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_u8(1);
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
    accepts!(JSONB, JSONPATH);
    to_sql_checked!();
}

/// A snapshot as Postgres' binary format has it.
#[derive(Debug)]
struct Snapshot<'a>(&'a AsOf);

impl ToSql for Snapshot<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_u32(self.0.running().len() as u32);
        out.put_u64(self.0.xmin());
        out.put_u64(self.0.xmax());
        self.0.running().iter().for_each(|running| out.put_u64(*running));
        Ok(IsNull::No)
    }
    accepts!(PG_SNAPSHOT);
    to_sql_checked!();
}

/// A value that travels beside the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Texts(Vec<String>),
    /// A JSON value, as jsonb.
    Json(String),
    /// A path into JSON.
    Path(String),
    Snapshot(AsOf),
    /// An id as the table keeps it.
    Bytes(Vec<u8>),
    Time(Timestamp),
    Times(Vec<Timestamp>),
    Id(Uuid),
    Levels(Vec<i16>),
    Numbers(Vec<i32>),
    Count(i64),
}

impl Value {
    pub fn typed(&self) -> (Box<dyn ToSql + Sync + Send + '_>, Type) {
        match self {
            Self::Text(text) => (Box::new(text.as_str()), Type::TEXT),
            Self::Texts(texts) => (Box::new(texts), Type::TEXT_ARRAY),
            Self::Json(text) => (Box::new(Json(text)), Type::JSONB),
            Self::Path(text) => (Box::new(Json(text)), Type::JSONPATH),
            Self::Snapshot(as_of) => (Box::new(Snapshot(as_of)), Type::PG_SNAPSHOT),
            Self::Bytes(bytes) => (Box::new(bytes.as_slice()), Type::BYTEA),
            Self::Time(at) => (Box::new(Time(*at)), Type::TIMESTAMPTZ),
            Self::Times(all) => {
                (Box::new(all.iter().copied().map(Time).collect::<Vec<_>>()), Type::TIMESTAMPTZ_ARRAY)
            }
            Self::Id(id) => (Box::new(id), Type::UUID),
            Self::Levels(levels) => (Box::new(levels), Type::INT2_ARRAY),
            Self::Numbers(numbers) => (Box::new(numbers), Type::INT4_ARRAY),
            Self::Count(count) => (Box::new(count), Type::INT8),
        }
    }
}

/// A statement and what its `$1`, `$2` … are.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub text: String,
    pub values: Vec<Value>,
}
