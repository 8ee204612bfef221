//! Envoy's `grpc_json_transcoder` over the contract: the yardstick of the gateway.

use std::{net::SocketAddr, path::Path};

use portolan_api::prost_reflect::{DynamicMessage, Value, prost::Message as _};

/// The descriptor set as Envoy takes it: it registers no service with a method whose answer is one field of its message,
/// so every rule is without `response_body`, and Envoy answers whole messages.
pub fn descriptors() -> Vec<u8> {
    let pool = portolan_api::descriptors();
    let set = pool.get_message_by_name("google.protobuf.FileDescriptorSet").expect("options import descriptor.proto");
    let mut set = DynamicMessage::decode(set, portolan_api::DESCRIPTOR_SET).expect("the build wrote the set");
    let rule = pool.get_extension_by_name("google.api.http").expect("the contract imports annotations.proto");
    for file in messages(&mut set, "file") {
        for service in messages(file, "service") {
            for method in messages(service, "method") {
                let Some(Value::Message(options)) = method.get_field_by_name_mut("options") else { continue };
                if options.has_extension(&rule)
                    && let Value::Message(rule) = options.get_extension_mut(&rule)
                {
                    rule.clear_field_by_name("response_body");
                    for more in messages(rule, "additional_bindings") {
                        more.clear_field_by_name("response_body");
                    }
                }
            }
        }
    }
    set.encode_to_vec()
}

fn messages<'a>(of: &'a mut DynamicMessage, field: &str) -> impl Iterator<Item = &'a mut DynamicMessage> {
    let items = of.get_field_by_name_mut(field).and_then(Value::as_list_mut).expect("a repeated field");
    items.iter_mut().filter_map(Value::as_message_mut)
}

/// The configuration of an Envoy that turns JSON into calls of `services`, which listen at `service`.
pub fn config(listens: SocketAddr, service: SocketAddr, descriptors: &Path, services: &[&str]) -> String {
    format!(
        r#"
node: {{ id: transcoder, cluster: transcoder }}
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: transcoder
                route_config:
                  virtual_hosts: [{{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: service }} }}] }}]
                http_filters:
                  - name: envoy.filters.http.grpc_json_transcoder
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder
                      proto_descriptor: {}
                      services: [{}]
                      print_options: {{ always_print_primitive_fields: true }}
                  - name: envoy.filters.http.router
                    typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
    - name: service
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{ http2_protocol_options: {{}} }}
      load_assignment:
        cluster_name: service
        endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }} }}] }}]
"#,
        listens.port(),
        descriptors.display(),
        services.join(", "),
        service.port()
    )
}
