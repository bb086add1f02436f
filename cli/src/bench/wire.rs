//! The load generator's own HTTP/1.1: one request under way on one kept-alive connection, head and
//! body in one write, the answer read into one buffer that is used again. A general client spends
//! about as much on a small request as the server does, and would be measured in its place.

use crate::client::{Endpoint, refusal};
use crate::patience::Patience;
use anyhow::{Context, bail, ensure};
use http_client::Stream;
use hyper::StatusCode;
use smallvec::SmallVec;
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HEADERS_MAX: usize = 32;
/// Read at once at least.
const READ_BYTES: usize = 16 * 1024;
/// No answer of the benchmark's requests comes near it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub method: &'static str,
    pub path: &'a str,
    pub content_type: &'static str,
    /// Makes the request safe to repeat; empty: no such header.
    pub idempotency_key: &'a str,
    pub body: &'a [u8],
}

impl<'a> Ask<'a> {
    pub fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            content_type: "",
            idempotency_key: "",
            body: &[],
        }
    }
    pub fn post(path: &'a str, content_type: &'static str, body: &'a [u8]) -> Self {
        Self {
            method: "POST",
            path,
            content_type,
            idempotency_key: "",
            body,
        }
    }
    pub fn keyed(self, idempotency_key: &'a str) -> Self {
        Self {
            idempotency_key,
            ..self
        }
    }
}

#[derive(Debug)]
pub struct Wire {
    endpoint: Endpoint,
    stream: Stream,
    head: Vec<u8>,
    buffer: Vec<u8>,
    /// The body of an answer in several chunks.
    joined: Vec<u8>,
    /// Requests sent again, because the server was too busy or the connection broke.
    pub retries: u64,
}

impl Wire {
    pub async fn connect(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let stream = endpoint.open().await?;
        Ok(Self {
            endpoint: endpoint.clone(),
            stream,
            head: Vec::new(),
            buffer: Vec::new(),
            joined: Vec::new(),
            retries: 0,
        })
    }

    /// The body of a good answer. Sends again while the server is too busy (429, 503) or the
    /// connection broke: every request of the benchmark is safe to repeat.
    ///
    /// # Errors
    /// Any other status, with the problem that the answer describes.
    pub async fn ask(&mut self, ask: &Ask<'_>) -> anyhow::Result<&[u8]> {
        let mut patience = Patience::default();
        loop {
            match self.once(ask).await {
                Ok(answer) => {
                    if !answer.is_busy() || !patience.after_busy(answer.retry_after).await {
                        return self.body(&answer);
                    }
                }
                Err(error) => {
                    if !patience.after_loss().await {
                        return Err(error);
                    }
                    self.stream = self.endpoint.open().await?;
                }
            }
            self.retries += 1;
        }
    }

    async fn once(&mut self, ask: &Ask<'_>) -> anyhow::Result<Answer> {
        self.write_head(ask)?;
        write_both(&mut self.stream, &self.head, ask.body).await?;
        self.buffer.clear();
        let mut more = READ_BYTES;
        loop {
            self.buffer.reserve(more);
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(
                read > 0,
                "the server closed the connection in the middle of a response"
            );
            match parse(&self.buffer)? {
                Parsed::Whole(answer) => return Ok(answer),
                Parsed::Lacks(bytes) => more = bytes.max(READ_BYTES),
            }
            ensure!(
                self.buffer.len() + more <= ANSWER_BYTES_MAX,
                "the response has more than {ANSWER_BYTES_MAX} bytes"
            );
        }
    }

    fn write_head(&mut self, ask: &Ask<'_>) -> io::Result<()> {
        let (head, authority, key) = (
            &mut self.head,
            self.endpoint.authority(),
            self.endpoint.key(),
        );
        head.clear();
        write!(
            head,
            "{} {} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {key}\r\n",
            ask.method, ask.path
        )?;
        if !ask.idempotency_key.is_empty() {
            write!(head, "idempotency-key: {}\r\n", ask.idempotency_key)?;
        }
        if !ask.body.is_empty() {
            write!(
                head,
                "content-type: {}\r\ncontent-length: {}\r\n",
                ask.content_type,
                ask.body.len()
            )?;
        }
        head.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn body(&mut self, answer: &Answer) -> anyhow::Result<&[u8]> {
        let body = match answer.body.as_slice() {
            [] => &[],
            [one] => &self.buffer[one.clone()],
            chunks => {
                self.joined.clear();
                chunks
                    .iter()
                    .for_each(|chunk| self.joined.extend_from_slice(&self.buffer[chunk.clone()]));
                &self.joined
            }
        };
        let status = StatusCode::from_u16(answer.status)?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(refusal(status, body))
        }
    }
}

/// In one system call where the socket takes both.
async fn write_both(stream: &mut Stream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let written = stream
        .write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
        .await?;
    if let Some(rest) = head.get(written..) {
        stream.write_all(rest).await?;
    }
    stream
        .write_all(&body[written.saturating_sub(head.len()).min(body.len())..])
        .await?;
    // What TLS has not sent yet.
    stream.flush().await
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Seconds.
    retry_after: Option<u64>,
    /// Where in the buffer the body's pieces are.
    body: SmallVec<[Range<usize>; 1]>,
}

impl Answer {
    fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 503)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Whole(Answer),
    /// At least so many bytes more.
    Lacks(usize),
}

/// One whole answer, or how much of it is still missing. Looks at the bytes from the first one on
/// at every call: answers come in a few reads.
fn parse(bytes: &[u8]) -> anyhow::Result<Parsed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head
        .parse(bytes)
        .context("the server's response is not HTTP/1.1")?
    else {
        return Ok(Parsed::Lacks(1));
    };
    let value = |name: &str| {
        let header = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let mut answer = Answer {
        status: head.code.unwrap_or(0),
        retry_after: value("retry-after").and_then(|text| text.parse().ok()),
        body: SmallVec::new(),
    };
    let end = if value("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        match chunks(bytes, start, &mut answer.body)? {
            Ok(end) => end,
            Err(lacks) => return Ok(Parsed::Lacks(lacks)),
        }
    } else {
        let length: usize = match value("content-length") {
            Some(text) => text
                .parse()
                .context("the response's content-length is not a number")?,
            None if answer.status == 204 => 0,
            None => bail!("the response has neither a content-length nor chunked encoding"),
        };
        ensure!(
            length <= ANSWER_BYTES_MAX,
            "the response has {length} bytes"
        );
        answer.body.push(start..start + length);
        start + length
    };
    if bytes.len() < end {
        return Ok(Parsed::Lacks(end - bytes.len()));
    }
    ensure!(
        bytes.len() == end,
        "{} bytes after the end of the response",
        bytes.len() - end
    );
    Ok(Parsed::Whole(answer))
}

/// The pieces of a chunked body, and where it ends; or how many bytes are missing at least.
fn chunks(
    bytes: &[u8],
    mut at: usize,
    pieces: &mut SmallVec<[Range<usize>; 1]>,
) -> anyhow::Result<Result<usize, usize>> {
    const CRLF: usize = 2;
    loop {
        let line = bytes.get(at..).unwrap_or_default();
        let Ok(size) = httparse::parse_chunk_size(line) else {
            bail!("the size of a chunk cannot be read")
        };
        let httparse::Status::Complete((digits, size)) = size else {
            return Ok(Err(1));
        };
        let (start, size) = (at + digits, usize::try_from(size)?);
        ensure!(size <= ANSWER_BYTES_MAX, "a chunk has {size} bytes");
        at = start + size + CRLF;
        if bytes.len() < at {
            return Ok(Err(at - bytes.len()));
        }
        ensure!(
            &bytes[at - CRLF..at] == b"\r\n",
            "a chunk does not end where its size says"
        );
        if size == 0 {
            return Ok(Ok(at));
        }
        pieces.push(start..start + size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const SIZED: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 12\r\n\r\nhello\r\n\r\nyou";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: \
        chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n\r\n you\r\n0\r\n\r\n";
    const BUSY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\n{}";

    fn text(bytes: &str) -> String {
        let Parsed::Whole(answer) = parse(bytes.as_bytes()).unwrap() else {
            panic!("incomplete")
        };
        answer.body.into_iter().map(|piece| &bytes[piece]).collect()
    }

    #[test]
    fn answers_are_whole_only_with_their_last_byte() {
        for answer in [SIZED, CHUNKED, BUSY] {
            for end in 0..answer.len() {
                let Parsed::Lacks(more) = parse(&answer.as_bytes()[..end]).unwrap() else {
                    panic!("whole after {end} bytes")
                };
                assert!(
                    (1..=answer.len() - end).contains(&more),
                    "{more} more after {end}"
                );
            }
            assert!(
                parse(format!("{answer}x").as_bytes()).is_err(),
                "a byte too many"
            );
        }
        assert_eq!(text(SIZED), "hello\r\n\r\nyou");
        assert_eq!(text(CHUNKED), "hello\r\n you");
        assert_eq!(text("HTTP/1.1 204 No Content\r\n\r\n"), "");
    }

    #[test]
    fn nonsense_is_an_error() {
        for answer in [
            "SMTP ready\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(parse(answer.as_bytes()).is_err(), "{answer}");
        }
    }

    /// A server that gives these answers one after the other, each byte for byte.
    async fn answering(answers: Vec<&'static str>) -> (Wire, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            for answer in answers {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8(request[..read].to_vec()).unwrap());
                for byte in answer.as_bytes() {
                    stream.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            asked
        });
        (
            Wire::connect(&Endpoint::new(&url, "secret").unwrap())
                .await
                .unwrap(),
            server,
        )
    }

    #[tokio::test]
    async fn asks_again_when_the_server_is_busy_and_names_its_problems() {
        const PROBLEM: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: \
            41\r\n\r\n{\"code\":\"unknown_tenant\",\"detail\":\"who?\"}";
        let (mut wire, server) = answering(vec![BUSY, CHUNKED, PROBLEM]).await;
        let ask = Ask::post("/v1/x", "application/json", b"{}").keyed("k-1");
        assert_eq!(wire.ask(&ask).await.unwrap(), b"hello\r\n you");
        assert_eq!(wire.retries, 1);
        let error = wire.ask(&Ask::get("/v1/y")).await.unwrap_err().to_string();
        assert!(
            error.contains("404") && error.contains("unknown_tenant") && error.contains("who?"),
            "{error}"
        );
        let asked = server.await.unwrap();
        assert_eq!(asked[0], asked[1], "the same request again");
        assert!(
            asked[0].starts_with("POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:"),
            "{}",
            asked[0]
        );
        assert!(asked[0].ends_with(
            "authorization: Bearer secret\r\nidempotency-key: k-1\r\ncontent-type: \
                application/json\r\ncontent-length: 2\r\n\r\n{}"
        ));
        assert!(asked[2].ends_with("authorization: Bearer secret\r\n\r\n"));
    }

    #[test]
    fn asks_over_tls() {
        let runtime = crate::runtime().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let proxy = crate::tls_tests::Proxy::before(&server);
        let trust = crate::client::Trust::of(&proxy.authorities);
        let answered = runtime.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(SIZED.as_bytes()).await.unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap()
        });
        let endpoint = trust.endpoint(&proxy.url, "secret").unwrap();
        let asked = runtime.block_on(async {
            let mut wire = Wire::connect(&endpoint).await.unwrap();
            let ask = Ask::post("/v1/x", "application/json", b"{}");
            assert_eq!(wire.ask(&ask).await.unwrap(), b"hello\r\n\r\nyou");
            answered.await.unwrap()
        });
        let host = proxy.url.strip_prefix("https://").unwrap();
        assert!(
            asked.starts_with(&format!("POST /v1/x HTTP/1.1\r\nhost: {host}\r\n")),
            "{asked}"
        );
        assert!(asked.ends_with("\r\n\r\n{}"), "{asked}");
    }
}
