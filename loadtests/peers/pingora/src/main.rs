//! The least proxy that pingora makes: one host to one upstream, as the other peers are set up.
//!
//! `minimal-pingora LISTEN HOST UPSTREAM WORKERS`. The library pools upstream connections by itself; the
//! pool is as large as the others'.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct OneHost {
    host: String,
    upstream: String,
}

#[async_trait]
impl ProxyHttp for OneHost {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, session: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let host = session.req_header().headers.get("host");
        if host.is_none_or(|host| host.as_bytes() != self.host.as_bytes()) {
            return Err(Error::new(ErrorType::HTTPStatus(404)));
        }
        Ok(Box::new(HttpPeer::new(self.upstream.as_str(), false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut (),
    ) -> Result<()> {
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("X-Forwarded-For", address.ip().to_string())?;
        }
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, host, upstream, workers] = arguments.as_slice() else {
        println!("minimal-pingora {}", env!("CARGO_PKG_VERSION"));
        return;
    };
    let configuration = ServerConf {
        threads: workers.parse().unwrap_or(1),
        upstream_keepalive_pool_size: 256,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(Opt::default(), configuration);
    server.bootstrap();
    let proxy = OneHost { host: host.clone(), upstream: upstream.clone() };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), proxy);
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever();
}
