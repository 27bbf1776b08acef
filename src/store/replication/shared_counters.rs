//! Counters in Redis, which all replicas add to.
//!
//! A counter is created with the sum that this replica knew last, so that a Redis that has lost its data
//! gets it back from the first replica that counts.

use std::{sync::Arc, time::Duration};

use redis::{Pipeline, Value};
use tokio::time::timeout;

use super::{
    connection::{Redis, State},
    error::RedisError,
    pipeline::{pipeline, set},
};
use crate::store::{
    counters::{Counter, Counters},
    error::Unavailable,
};

/// How long what is to be added may wait for Redis. After that it is lost.
const ADD_TIMEOUT: Duration = Duration::from_secs(60);

/// Adds to counters in Redis; gives the new sums.
///
/// # Errors
///
/// [`Unavailable`]; the amounts may have been added.
pub(super) async fn add(
    redis: &Redis,
    known: &Counters,
    amounts: &[(Counter, i64)],
) -> Result<Vec<i64>, Unavailable> {
    let connection = redis.connection_soon().await.map_err(|_| Unavailable)?;
    // Not repeated after an error: it may have been added.
    let asked = redis.ask(&connection, &command(known, amounts)).await;
    let answers = asked.map_err(|_: RedisError| Unavailable)?;
    let sums: Vec<i64> = answers
        .iter()
        .skip(1)
        .step_by(2)
        .filter_map(|answer| match answer {
            Value::Int(sum) => Some(*sum),
            _ => None,
        })
        .collect();
    if sums.len() != amounts.len() {
        return Err(Unavailable);
    }
    for ((counter, _), sum) in amounts.iter().zip(&sums) {
        known.learn(counter, *sum);
    }
    Ok(sums)
}

/// As [`add`], and waits for Redis if it does not work at the moment.
pub(super) async fn add_later(redis: Arc<Redis>, known: Counters, amounts: Vec<(Counter, i64)>) {
    let mut changes = redis.changes();
    let up = changes.wait_for(|state| matches!(state, State::Up(_)));
    if timeout(ADD_TIMEOUT, up).await.is_ok() {
        // If this fails, the sums are too large or too small by what one reply has used.
        let _ = add(&redis, &known, &amounts).await;
    }
}

fn command(known: &Counters, amounts: &[(Counter, i64)]) -> Pipeline {
    let mut pipe = pipeline();
    for (counter, amount) in amounts {
        let key = format!("rasta:count:{}", counter.name);
        set(
            &mut pipe,
            &key,
            &known.known(counter).to_string(),
            counter.ttl,
        );
        pipe.arg("NX");
        pipe.cmd("INCRBY").arg(&key).arg(*amount);
    }
    pipe
}
