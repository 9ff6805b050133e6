//! sozu: one worker without a main process, one cluster, no metrics and no access log.

use super::{ConfigFile, Launch, Site};

/// A configuration file in the run's directory.
pub fn launch(site: &Site) -> Launch {
    let path = site.directory.join("sozu.toml");
    let arguments = vec!["start".into(), "--config".into(), path.clone().into()];
    let directory = site.directory.display();
    let text = format!(
        r#"command_socket = "{directory}/sozu.sock"
saved_state = "{directory}/state.json"
log_level = "error"
log_target = "stdout"
worker_count = {workers}
worker_automatic_restart = false
handle_process_affinity = false
max_connections = {clients}
max_buffers = {buffers}
buffer_size = 16393
activate_listeners = true

[[listeners]]
protocol = "http"
address = "{listen}"

[clusters.app]
protocol = "http"
frontends = [{{ address = "{listen}", hostname = "{host}" }}]
backends = [{{ address = "{upstream}" }}]
"#,
        workers = site.workers,
        clients = site.clients_max,
        buffers = 2 * site.clients_max,
        listen = site.listen,
        host = site.host,
        upstream = site.upstream.tcp(),
    );
    Launch { arguments, file: Some(ConfigFile { path, text }) }
}
