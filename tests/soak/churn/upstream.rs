//! The upstream of a soak: every scenario of the simulator behind one address.

use std::sync::Arc;

use rasta_stream::simulator::{Options, Pace, Scenario, Simulator};

use crate::support::proxy::Proxy;

/// What would leave the soak without upstream instead of churning it: all circuits would be open for a
/// minute.
const LEFT_OUT: [Scenario; 1] = [Scenario::RateLimitedDay];

/// A simulator for each scenario, and what leads to one of them.
pub struct Upstream {
    switch: Switch,
    _simulators: Vec<Simulator>,
}

/// Chooses the scenario of the requests that come next.
#[derive(Clone)]
pub struct Switch {
    proxy: Arc<Proxy>,
    ordinary: std::net::SocketAddr,
    scenarios: Arc<Vec<std::net::SocketAddr>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let mut simulators = Vec::new();
        // An ordinary reply takes its time, so that clients can leave and return.
        let paced = [(None, Pace::Real), (Some(Scenario::Endless), Pace::Real)];
        let others = Scenario::ALL.iter().copied();
        let others = others.filter(|scenario| !LEFT_OUT.contains(scenario));
        let instant = others.map(|scenario| (Some(scenario), Pace::Instant));
        for (scenario, pace) in paced.into_iter().chain(instant) {
            let options = Options {
                scenario,
                pace,
                ..Options::default()
            };
            simulators.push(Simulator::start(options).await.unwrap());
        }
        let switch = Switch {
            proxy: Arc::new(Proxy::start(simulators[0].addr()).await),
            ordinary: simulators[0].addr(),
            scenarios: Arc::new(simulators[1..].iter().map(Simulator::addr).collect()),
        };
        Self {
            switch,
            _simulators: simulators,
        }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.switch.proxy.addr())
    }

    pub fn switch(&self) -> Switch {
        self.switch.clone()
    }
}

impl Switch {
    /// Every other visit meets an ordinary upstream; the others meet the scenarios, one after the other.
    pub fn turn(&self, visit: usize) {
        let target = match visit % 2 {
            0 => self.ordinary,
            _ => self.scenarios[visit / 2 % self.scenarios.len()],
        };
        self.proxy.aim(target);
    }
}
