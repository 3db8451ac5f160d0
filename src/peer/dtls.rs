//! Handshakes with the patience of a real-time call. The stack's own first retransmission, after 250 ms of
//! ICE and 1 s of DTLS, makes a connection over a lossy network take longer than anybody waits;
//! browsers begin at 50 ms.
//!
//! Every connection has a certificate of its own (ECDSA P-256), so that connections cannot be linked and none lives long.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use str0m::RtcConfig;
use str0m::crypto::dtls::{DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion};
use str0m::crypto::{CryptoError, CryptoProvider, from_feature_flags};

const FIRST_RETRY: Duration = Duration::from_millis(200);
/// 0.2, 0.4 … s: six retries outlast the longest connect deadline.
const RETRIES: usize = 6;
const TIMEOUT: Duration = Duration::from_secs(30);

/// ICE checks: 50, 100, 200 … ms, up to every 3 s; in sum about as long as with the stack's own timing.
const FIRST_CHECK: Duration = Duration::from_millis(50);
const CHECKS: usize = 12;

/// Lets a connection hurry while it comes up.
pub fn hurry(stack: &mut RtcConfig) {
    stack.set_initial_stun_rto(FIRST_CHECK);
    stack.set_max_stun_retransmits(CHECKS);
}

/// The stack's cryptography with this DTLS in it.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let stack = from_feature_flags();
        let own = Patient { stack: stack.dtls_provider, config: Mutex::new(None) };
        // Lives as long as the process: the stack wants it 'static.
        Arc::new(CryptoProvider { dtls_provider: Box::leak(Box::new(own)), ..stack })
    });
    Arc::clone(&PROVIDER)
}

#[derive(Debug)]
struct Patient {
    stack: &'static dyn DtlsProvider,
    /// Of the connections before, by their MTU: whoever builds one tries all of its cryptography, which takes as long as the
    /// rest of a handshake.
    config: Mutex<Option<(Option<usize>, Arc<dimpl::Config>)>>,
}

impl Patient {
    fn config(&self, mtu: Option<usize>) -> Result<Arc<dimpl::Config>, CryptoError> {
        let mut known = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = known.as_ref().filter(|(of, _)| *of == mtu) {
            return Ok(Arc::clone(config));
        }
        // ICE has verified the address before any DTLS is looked at: no cookie is needed.
        let mut builder = dimpl::Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(FIRST_RETRY)
            .flight_retries(RETRIES)
            .handshake_timeout(TIMEOUT);
        if let Some(mtu) = mtu {
            builder = builder.mtu(mtu);
        }
        let config = Arc::new(builder.build().map_err(|error| CryptoError::Other(error.to_string()))?);
        *known = Some((mtu, Arc::clone(&config)));
        Ok(config)
    }
}

impl DtlsProvider for Patient {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.stack.generate_certificate()
    }

    fn new_dtls(&self, cert: &DtlsCert, now: Instant, _: DtlsVersion, mtu: Option<usize>) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        Ok(Box::new(Instance(dimpl::Dtls::new_12(self.config(mtu)?, cert.clone(), now))))
    }
}

struct Instance(dimpl::Dtls);

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}
