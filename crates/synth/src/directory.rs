//! The directory files that a server is configured with: organisations, sites, and authorities with the numbers to
//! ring. Never a real telephone number: all come from the ranges kept for drama.

use std::path::Path;

use crate::SynthError;
use crate::output::{FileEntry, TableFile};
use crate::reference::Reference;

/// Every fifth authority opens its office half an hour before the others.
const EARLY_EVERY: usize = 5;

/// Writes the three files.
pub(crate) fn write(out: &Path, reference: &Reference) -> Result<Vec<FileEntry>, SynthError> {
    let mut organisations =
        TableFile::create(out, "directory/organisations.csv", "ods_code,name,contact_phone,successor_code")?;
    for (place, trust) in reference.trusts.iter().enumerate() {
        record(&mut organisations, &[&trust.code, &trust.name, &format!("01632 960{place:03}"), ""])?;
    }
    let mut sites = TableFile::create(out, "directory/sites.csv", "ods_site_code,name,organisation_code")?;
    for site in &reference.sites {
        record(&mut sites, &[&site.code, &site.name, &reference.trusts[usize::from(site.trust)].code])?;
    }
    let header = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes";
    let mut authorities = TableFile::create(out, "directory/authorities.csv", header)?;
    for (place, authority) in reference.authorities.iter().enumerate() {
        let (office, out_of_hours) = (format!("020 7946 0{place:03}"), format!("07700 900{place:03}"));
        let opens = if place % EARLY_EVERY == 0 { "08:30" } else { "09:00" };
        record(&mut authorities, &[&authority.code, &authority.name, &office, &out_of_hours, opens, "17:00"])?;
    }
    [organisations, sites, authorities].into_iter().map(TableFile::finish).collect()
}

fn record(file: &mut TableFile, fields: &[&str]) -> Result<(), SynthError> {
    file.row(|row| {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(fields)?;
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        row.extend_from_slice(bytes.trim_ascii_end());
        Ok(())
    })
}
