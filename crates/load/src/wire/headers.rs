//! Request headers (HPACK): written out once on each connection, one byte each afterwards, as any client does it.

use kith_api::client::CALLER_METADATA;

use super::Broken;

/// One call of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `/package.Service/Method`.
    pub path: String,
    /// Whether the deadline is sent with it: long streams have none.
    pub deadline: bool,
}

/// Index of the first entry of the dynamic table.
const FIRST_DYNAMIC: usize = 62;
/// The peer's table must hold everything that is ever put into it.
const NEEDED: u32 = 4096;

/// A header field before it is in the table.
struct Field {
    /// Index of its name in the static table, or its name.
    name: Result<u8, &'static str>,
    value: Vec<u8>,
    /// Its place in the order in which fields were put into the table.
    place: Option<usize>,
}

/// Writes blocks of request headers.
pub(super) struct Encoder {
    common: Vec<Field>,
    timeout: Field,
    person: Option<Field>,
    routes: Vec<(Field, bool)>,
    inserted: usize,
}

impl Encoder {
    pub(super) fn new(authority: &str, timeout_ms: u64, routes: &[Route]) -> Self {
        let field = |name, value: &str| Field { name, value: value.as_bytes().to_vec(), place: None };
        let timeout = format!("{timeout_ms}m");
        Self {
            common: vec![
                field(Ok(1), authority),
                field(Ok(31), "application/grpc"),
                field(Err("te"), "trailers"),
                field(Ok(58), concat!("kith-load/", env!("CARGO_PKG_VERSION"))),
            ],
            timeout: field(Err("grpc-timeout"), &timeout),
            person: None,
            routes: routes.iter().map(|route| (field(Ok(4), &route.path), route.deadline)).collect(),
            inserted: 0,
        }
    }

    /// Names a person on the calls whose messages name nobody: the long streams.
    pub(super) fn name(&mut self, person: &[u8]) {
        self.person = Some(Field { name: Err(CALLER_METADATA), value: person.to_vec(), place: None });
    }

    /// The size of the peer's table.
    pub(super) fn limit(&self, bytes: u32) -> Result<(), Broken> {
        if bytes < NEEDED { Err(Broken("a header table smaller than usual")) } else { Ok(()) }
    }

    /// The block of one request.
    pub(super) fn block(&mut self, route: usize, out: &mut Vec<u8>) {
        // :method POST and :scheme https, of the static table.
        out.extend_from_slice(&[0x83, 0x87]);
        let Self { common, timeout, person, routes, inserted } = self;
        let Some((path, deadline)) = routes.get_mut(route) else { return };
        let person = person.as_mut().filter(|_| !*deadline);
        let timeout = deadline.then_some(timeout);
        for field in std::iter::once(path).chain(common).chain(timeout).chain(person) {
            write(field, inserted, out);
        }
    }
}

fn write(field: &mut Field, inserted: &mut usize, out: &mut Vec<u8>) {
    if let Some(place) = field.place {
        integer(0x80, 7, FIRST_DYNAMIC + (*inserted - 1 - place), out);
        return;
    }
    match field.name {
        Ok(index) => integer(0x40, 6, usize::from(index), out),
        Err(name) => {
            out.push(0x40);
            text(name.as_bytes(), out);
        }
    }
    text(&field.value, out);
    field.place = Some(*inserted);
    *inserted += 1;
}

/// A string as it is.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    integer(0, 7, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// An integer with a prefix of `bits`.
fn integer(first: u8, bits: u32, value: usize, out: &mut Vec<u8>) {
    let limit = (1_usize << bits) - 1;
    if value < limit {
        out.push(first | value as u8);
        return;
    }
    out.push(first | limit as u8);
    let mut rest = value - limit;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}
