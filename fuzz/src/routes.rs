//! Routes of a site against arbitrary targets: nothing slips by a rule, no redirection leaves its host, no field is split.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use sportello_service::site::{
    Access, Action, Block, Description, FieldChange, How, Item, Matcher, Of, PathExpression, PathPattern, Redirect,
    Respond, Rewrite, Route, Site, Step, StripPrefix, Template, Written, trace,
};
use sportello_service::web::{Answer, Client, Fields, Incoming, Path, Request, Scheme};
use sportello_wire::http1::Method;

fn written<T>(what: T) -> Written<T> {
    Written { line: 1, what }
}

fn route(matcher: Matcher, items: Vec<Item>, action: Option<Action>) -> Item {
    let items = items.into_iter().map(written).collect();
    Item::Route(Route { matcher, block: Block { items, action: action.map(written), ..Block::default() } })
}

fn path(pattern: &str) -> Matcher {
    Matcher { paths: vec![PathPattern::parse(pattern).unwrap()], ..Matcher::default() }
}

/// A path that is changed on the way, then refused beneath /admin; redirections and fields made of what was asked.
fn description() -> Arc<Description> {
    static ONCE: OnceLock<Arc<Description>> = OnceLock::new();
    let make = || {
        let whole = Matcher { matches: Some(PathExpression::parse("/r/(.*)").unwrap()), ..Matcher::default() };
        let field = FieldChange::new(Of::Answer, "x-asked", How::Set(Template::parse("{1}{path}{query}").unwrap()));
        let redirect = |to| Some(Action::Redirect(Redirect::parse(to, None).unwrap()));
        let items = vec![
            Item::Step(Step::StripPrefix(StripPrefix::parse("/s").unwrap())),
            route(path("/w/*"), vec![Item::Step(Step::Rewrite(Rewrite::parse("{path}/x").unwrap()))], None),
            route(whole, vec![Item::Step(Step::Field(field.unwrap()))], redirect("/{1}{query}")),
            route(path("/h/*"), vec![], redirect("https://{host}{path}{query}")),
            route(path("/admin/*"), vec![Item::Step(Step::Access(Access::Deny(Vec::new())))], None),
        ];
        let action = Some(written(Action::Respond(Respond::new(200, "", None).unwrap())));
        let block = Block { items: items.into_iter().map(written).collect(), action, ..Block::default() };
        Arc::new(Description { block, ..Description::default() })
    };
    Arc::clone(ONCE.get_or_init(make))
}

/// A target: a raw path, and behind the first `?` a query.
pub(crate) fn target(data: &[u8]) {
    let mut halves = data.splitn(2, |&byte| byte == b'?');
    let raw = halves.next().unwrap_or_default();
    let query = halves.next().filter(|query| query.iter().all(u8::is_ascii_graphic));
    // As every version of HTTP has it checked.
    if !raw.starts_with(b"/") || !raw.iter().all(u8::is_ascii_graphic) {
        return;
    }
    let Ok(asked) = Path::parse(raw) else { return };
    assert!(asked.normal().starts_with(b"/") && !asked.normal().windows(2).any(|pair| pair == b"//"), "{asked:?}");
    let request = || Request {
        method: Method::Get,
        verb: "GET".into(),
        scheme: Scheme::Http,
        authority: "www.example.org".into(),
        path: asked.clone(),
        query: query.map(|query| query.to_vec().into()),
        fields: Fields::new(),
        client: Client {
            peer: SocketAddr::from(([192, 0, 2, 7], 1)),
            local: SocketAddr::from(([192, 0, 2, 1], 80)),
            secured: None,
        },
        body: Incoming::Empty,
        upgrade: None,
        notes: Rc::default(),
    };
    let description = description();
    let mut led = request();
    let _ = trace(&description, &mut led);
    let answer = answer(Rc::new(Site::new(description, Vec::new())), request());
    if answer.status == 200 {
        let path = led.path.normal();
        assert!(path != b"/admin" && !path.starts_with(b"/admin/"), "{raw:?} became {path:?}");
    }
    if let Some(place) = answer.fields.value("location") {
        let is_here = place.starts_with(b"/") && !place.starts_with(b"//") && !place.starts_with(b"/\\");
        assert!(is_here || place.starts_with(b"https://www.example.org/"), "{raw:?} leads to {place:?}");
        assert!(place.iter().all(u8::is_ascii_graphic), "{raw:?} leads to {place:?}");
    }
    for (_, value) in answer.fields.iter() {
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{raw:?} splits a field");
    }
}

/// Nothing in this site waits.
fn answer(site: Rc<Site>, request: Request) -> Answer {
    let mut future = pin!(site.answer(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a step waits for nobody"),
    }
}
