//! What of an entry the database never looks into, as JSON: its recipients and what was said at MAIL.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::{Deserialize, Serialize};
use sportello_wire::mail::{Notify, Ret, Status};
use sportello_wire::smtp::server::BodyType;

use crate::queue::{Answer, Options, Recipient, Script, Speaker, TlsNeed, Unsettled};

#[derive(Serialize, Deserialize)]
struct RecipientText {
    address: String,
    #[serde(default, skip_serializing_if = "is_unsaid")]
    notify: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<AnswerText>,
}

#[derive(Serialize, Deserialize)]
struct AnswerText {
    server: bool,
    status: String,
    text: String,
}

#[derive(Default, Serialize, Deserialize)]
struct OptionsText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelope_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ret: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    require_tls: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    utf8: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

const BODIES: [(BodyType, &str); 2] = [(BodyType::EightBitMime, "8BITMIME"), (BodyType::BinaryMime, "BINARYMIME")];

/// The recipients as text.
pub(super) fn recipients(unsettled: &[Unsettled]) -> serde_json::Result<String> {
    let texts: Vec<RecipientText> = unsettled.iter().map(RecipientText::of).collect();
    serde_json::to_string(&texts)
}

/// What was said at MAIL, as text.
pub(super) fn options(options: &Options) -> serde_json::Result<String> {
    serde_json::to_string(&OptionsText {
        envelope_id: options.envelope_id.clone(),
        ret: options.ret.map(|ret| ret.to_string()),
        require_tls: options.tls == TlsNeed::Required,
        utf8: options.script == Script::Utf8,
        body: BODIES.iter().find(|(body, _)| *body == options.body).map(|(_, name)| (*name).to_owned()),
    })
}

/// A column of [`recipients`].
pub(super) fn read_recipients(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Unsettled>> {
    let texts: Vec<RecipientText> = read(row, column)?;
    Ok(texts.into_iter().map(RecipientText::into_unsettled).collect())
}

/// A column of [`options`].
pub(super) fn read_options(row: &Row<'_>, column: usize) -> rusqlite::Result<Options> {
    let text: OptionsText = read(row, column)?;
    Ok(Options {
        envelope_id: text.envelope_id,
        ret: text.ret.and_then(|ret| ret.parse::<Ret>().ok()),
        tls: if text.require_tls { TlsNeed::Required } else { TlsNeed::Policy },
        script: if text.utf8 { Script::Utf8 } else { Script::Ascii },
        body: BODIES
            .iter()
            .find(|(_, name)| Some(*name) == text.body.as_deref())
            .map_or(BodyType::SevenBit, |(body, _)| *body),
    })
}

fn read<T: for<'a> Deserialize<'a>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|why| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why)))
}

impl RecipientText {
    fn of(unsettled: &Unsettled) -> Self {
        let Unsettled { recipient, last } = unsettled;
        Self {
            address: recipient.address.clone(),
            notify: recipient.notify.bits(),
            original: recipient.original.clone(),
            last: last.as_ref().map(|answer| AnswerText {
                server: answer.by == Speaker::Server,
                status: answer.status.to_string(),
                text: answer
                    .text
                    .get(..answer.text.floor_char_boundary(Answer::LONGEST))
                    .unwrap_or_default()
                    .to_owned(),
            }),
        }
    }

    fn into_unsettled(self) -> Unsettled {
        let answer = |last: AnswerText| {
            let by = if last.server { Speaker::Server } else { Speaker::Ourselves };
            Status::parse(&last.status).map(|status| Answer { by, status, text: last.text })
        };
        let notify = Notify::from_bits(self.notify);
        let recipient = Recipient { address: self.address, notify, original: self.original };
        Unsettled { recipient, last: self.last.and_then(answer) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_unsaid(notify: &u8) -> bool {
    *notify == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(said: &bool) -> bool {
    !*said
}
