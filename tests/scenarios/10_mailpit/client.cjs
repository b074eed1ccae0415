// Drives a desk with the npm package mailpit-api: node client.cjs URL. One line of JSON for each step.
"use strict";
const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { MailpitClient } = require("mailpit-api");

const mailpit = new MailpitClient(process.argv[2]);
const steps = [];
const step = (name, work) => steps.push([name, work]);
const subjects = (list) => list.messages.map((message) => message.Subject);
const FILE = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256));

// Caught over SMTP before this runs: "Number 0" to "Number 4", and "The invoice" with an attachment.
step("listMessages: newest first, by position", async () => {
  const all = await mailpit.listMessages();
  assert.deepEqual(subjects(all), ["The invoice", "Number 4", "Number 3", "Number 2", "Number 1", "Number 0"]);
  assert.deepEqual([all.total, all.unread, all.messages_count, all.messages_unread, all.start], [6, 6, 6, 6, 0]);
  const some = await mailpit.listMessages(1, 2);
  assert.deepEqual(subjects(some), ["Number 4", "Number 3"]);
  assert.deepEqual([some.total, some.start, some.messages_count], [6, 1, 6]);
  const first = all.messages[0];
  assert.deepEqual(first.From, { Name: "Ada Lovelace", Address: "ada@example.org" });
  assert.deepEqual(first.To, [{ Name: "Grace", Address: "grace@example.net" }]);
  assert.deepEqual(first.Bcc, [{ Name: "", Address: "blind@example.net" }]);
  assert.equal(first.Attachments, 1);
  assert.equal(first.Read, false);
  assert.ok(first.Snippet.startsWith("Dear Grace, "));
  assert.ok(!Number.isNaN(Date.parse(first.Created)));
});

step("getMessageSummary: a message, which is read from then on", async () => {
  const message = await mailpit.getMessageSummary();
  assert.equal(message.Subject, "The invoice");
  assert.ok(message.Text.startsWith("Dear Grace"));
  assert.ok(message.HTML.includes("<b>Dear Grace</b>"));
  assert.equal(message.ReturnPath, "bounce@example.org");
  assert.equal(message.MessageID, "invoice@example.org");
  assert.deepEqual(message.ReplyTo, [{ Name: "", Address: "office@example.org" }]);
  const [file] = message.Attachments;
  assert.deepEqual([file.FileName, file.ContentType, file.Size], ["figures.pdf", "application/pdf", FILE.length]);
  for (const kind of ["MD5", "SHA1", "SHA256"]) {
    assert.equal(file.Checksums[kind], createHash(kind.toLowerCase()).update(FILE).digest("hex"));
  }
  assert.equal((await mailpit.listMessages()).unread, 5);
  assert.equal((await mailpit.getMessageSummary(message.ID)).ID, message.ID);
});

step("getMessageHeaders, getMessageSource, getMessageAttachment", async () => {
  const headers = await mailpit.getMessageHeaders();
  assert.deepEqual(headers["Subject"], ["The invoice"]);
  assert.deepEqual(headers["Message-Id"], ["<invoice@example.org>"]);
  const source = await mailpit.getMessageSource();
  assert.ok(source.includes("\r\nSubject: The invoice\r\n"));
  const message = await mailpit.getMessageSummary();
  const blob = await mailpit.getMessageAttachment(message.ID, message.Attachments[0].PartID);
  assert.equal(blob.type, "application/pdf");
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), FILE);
});

step("renderMessageHTML and renderMessageText", async () => {
  assert.ok((await mailpit.renderMessageHTML()).includes("Dear Grace"));
  assert.ok((await mailpit.renderMessageText()).includes("Dear Grace"));
  await assert.rejects(mailpit.renderMessageHTML((await mailpit.listMessages()).messages[1].ID), /404/);
});

step("setReadStatus: these, and all", async () => {
  const { messages } = await mailpit.listMessages();
  assert.equal(await mailpit.setReadStatus({ IDs: [messages[1].ID, messages[2].ID], Read: true }), "ok");
  assert.equal((await mailpit.listMessages()).unread, 3);
  await mailpit.setReadStatus({ Read: true });
  assert.equal((await mailpit.listMessages()).unread, 0);
  await mailpit.setReadStatus();
  assert.equal((await mailpit.listMessages()).unread, 6);
});

step("tags: set, list, rename, delete", async () => {
  const { messages } = await mailpit.listMessages();
  const ids = messages.slice(0, 2).map((message) => message.ID);
  assert.equal(await mailpit.setTags({ IDs: ids, Tags: ["To pay", "2026"] }), "ok");
  assert.deepEqual(await mailpit.getTags(), ["2026", "To pay"]);
  assert.equal(await mailpit.renameTag("To pay", "Paid"), "ok");
  assert.deepEqual((await mailpit.getMessageSummary(ids[1])).Tags, ["2026", "Paid"]);
  assert.equal(await mailpit.deleteTag("2026"), "ok");
  assert.deepEqual((await mailpit.listMessages()).tags, ["Paid"]);
  assert.deepEqual((await mailpit.getInfo()).Tags, { Paid: 2 });
});

step("sendMessage: everything that a message can have", async () => {
  const { ID } = await mailpit.sendMessage({
    From: { Email: "ada@example.org", Name: "Ada" },
    To: [{ Email: "bob@example.org", Name: "Bob, the élève" }, { Email: "carol@example.org" }],
    Cc: [{ Email: "cc@example.org" }],
    Bcc: ["bcc@example.org"],
    ReplyTo: [{ Email: "reply@example.org" }],
    Subject: "Sent by the client ☕",
    Text: "The text.",
    HTML: "<p>The <i>HTML</i></p>",
    Headers: { "X-Test": "yes" },
    Tags: ["sent"],
    Attachments: [
      { Content: FILE.toString("base64"), Filename: "data.bin", ContentType: "application/octet-stream" },
      { Content: "iVBORw==", Filename: "dot.png", ContentID: "dot" },
    ],
  });
  const message = await mailpit.getMessageSummary(ID);
  assert.equal(message.Subject, "Sent by the client ☕");
  assert.deepEqual(message.To[0], { Name: "Bob, the élève", Address: "bob@example.org" });
  assert.deepEqual(message.Bcc, [{ Name: "", Address: "bcc@example.org" }]);
  assert.deepEqual(message.Tags, ["sent"]);
  assert.deepEqual([message.Text.trim(), message.HTML.trim()], ["The text.", "<p>The <i>HTML</i></p>"]);
  assert.equal(message.Attachments[0].Checksums.SHA256, createHash("sha256").update(FILE).digest("hex"));
  assert.equal(message.Inline[0].ContentID, "dot");
  assert.deepEqual((await mailpit.getMessageHeaders(ID))["X-Test"], ["yes"]);
  await assert.rejects(mailpit.sendMessage({ From: { Email: "nobody" }, To: [] }), /400 .*"Error":"invalid From/s);
});

step("waitForMessages: without a search", async () => {
  const list = await mailpit.waitForMessages({ count: 7, exact: true });
  assert.equal(list.messages.length, 7);
});

step("searchMessages and waitForMessage", async () => {
  const found = await mailpit.searchMessages({ query: "subject:number", start: 1, limit: 2 });
  assert.deepEqual(subjects(found), ["Number 3", "Number 2"]);
  assert.deepEqual([found.total, found.messages_count, found.count, found.start], [7, 5, 2, 1]);
  for (const [query, count] of [
    ["from:ada@example.org", 7], ["from:nobody", 0], ["subject:\"number 4\"", 1], ["to:grace -subject:number", 1],
    ["!is:tagged", 4], ["tag:sent", 1], ["is:read after:2020-01-01", 2], ["larger:5k", 0], ["has:attachment", 2], ["body:\"text of number 3\"", 1], ["dear grace", 1],
  ]) {
    assert.equal((await mailpit.searchMessages({ query })).messages_count, count, query);
  }
  assert.equal((await mailpit.waitForMessage({ query: "subject:invoice" })).Subject, "The invoice");
  await assert.rejects(mailpit.searchMessages({ query: "is:odd" }), /400 .*"Error":/s);
});

step("setReadStatus and deleteMessagesBySearch", async () => {
  await mailpit.setReadStatus({ Search: "tag:Paid", Read: true });
  assert.equal((await mailpit.searchMessages({ query: "tag:Paid is:unread" })).messages_count, 0);
  await mailpit.setReadStatus({ Search: "body:number", Read: true });
  assert.equal((await mailpit.searchMessages({ query: "subject:number is:unread" })).messages_count, 0);
  assert.equal(await mailpit.deleteMessagesBySearch({ query: "tag:sent subject:client" }), "ok");
  assert.equal((await mailpit.waitForMessages({ query: "tag:sent", count: 0 })).messages_count, 0);
  assert.equal((await mailpit.listMessages()).total, 6);
});

step("getInfo and getConfiguration", async () => {
  const info = await mailpit.getInfo();
  assert.equal(info.RuntimeStats.SMTPAccepted, 7);
  assert.ok(info.RuntimeStats.Memory > 1000000 && info.RuntimeStats.Uptime >= 0);
  const configuration = await mailpit.getConfiguration();
  assert.deepEqual([configuration.MessageRelay.Enabled, configuration.SpamAssassin, configuration.ChaosEnabled], [false, false, false]);
});

step("what is not built is refused with a sentence", async () => {
  for (const work of [
    () => mailpit.htmlCheck(),
    () => mailpit.linkCheck(),
    () => mailpit.spamAssassinCheck(),
    () => mailpit.getChaosTriggers(),
    () => mailpit.setChaosTriggers(),
    () => mailpit.releaseMessage("latest", ["a@example.org"]),
    () => mailpit.getAttachmentThumbnail("latest", "1"),
  ]) {
    await assert.rejects(work(), /501 .*"Error":"this server .{10,}"/s);
  }
});

step("deleteMessages: these, and all", async () => {
  const { messages, total } = await mailpit.listMessages();
  assert.equal(await mailpit.deleteMessages({ IDs: [messages[0].ID] }), "ok");
  assert.equal((await mailpit.listMessages()).total, total - 1);
  await assert.rejects(mailpit.getMessageSummary(messages[0].ID), /404/);
  assert.equal(await mailpit.deleteMessages(), "ok");
  assert.deepEqual(await mailpit.waitForMessages({ count: 0 }).then((list) => list.messages), []);
  await assert.rejects(mailpit.getMessageSummary(), /404/);
});

(async () => {
  for (const [name, work] of steps) {
    const error = await work().then(() => null, (failure) => String(failure.stack));
    console.log(JSON.stringify({ name, error }));
  }
})();
