//! The connection.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, IntoConnectionInfo, ProtocolVersion, PushInfo};
use sierradb_protocol::{Command, Value};
use tokio::sync::Mutex;

use crate::commands::SierraAsyncClientExt;
use crate::convert;
use crate::error::{ClientError, is_transient};
use crate::limits::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use crate::subscription::SubscriptionManager;

/// A client of one server. Clones share its connection, and so may any number of tasks: requests are pipelined.
///
/// If the connection breaks, the call that noticed fails and the next one connects again.
#[derive(Clone)]
pub struct SierraClient {
    client: redis::Client,
    connection: Arc<Mutex<Option<MultiplexedConnection>>>,
}

impl SierraClient {
    /// Connects by RESP3 to a URL like `redis://localhost:9090` or `redis://default:password@host:9090`.
    ///
    /// # Errors
    ///
    /// If the URL is none, the server cannot be reached within 5 s, or it refuses the login.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let info = url.into_connection_info()?;
        let redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let client = redis::Client::open(info.set_redis_settings(redis))?;
        let connection = open(&client, config()).await?;
        Ok(Self { client, connection: Arc::new(Mutex::new(Some(connection))) })
    }

    /// A manager of subscriptions, with a connection of its own.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached within 5 s or refuses the login.
    pub async fn subscription_manager(&self) -> Result<SubscriptionManager, ClientError> {
        SubscriptionManager::open(self).await
    }

    /// A connection of its own whose pushes go to `push`.
    pub(crate) async fn open_with_pushes(
        &self,
        push: impl Fn(PushInfo) -> Result<(), std::convert::Infallible> + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, ClientError> {
        open(&self.client, config().set_push_sender(push)).await
    }

    async fn connection(&self) -> Result<MultiplexedConnection, ClientError> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref() {
            return Ok(connection.clone());
        }
        let connection = open(&self.client, config()).await?;
        *current = Some(connection.clone());
        Ok(connection)
    }
}

impl std::fmt::Debug for SierraClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address alone: the rest holds a password.
        let address = self.client.get_connection_info().addr().to_string();
        formatter.debug_struct("SierraClient").field("address", &address).finish_non_exhaustive()
    }
}

impl SierraAsyncClientExt for SierraClient {
    async fn run(&self, command: Command) -> Result<Value, ClientError> {
        let mut connection = self.connection().await?;
        let reply = connection.send_packed_command(&convert::packed(&command)).await;
        if reply.as_ref().is_err_and(|error| is_transient(error) && !error.is_timeout()) {
            *self.connection.lock().await = None;
        }
        convert::value(reply?)
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

async fn open(
    client: &redis::Client,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, ClientError> {
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}
