using System.Text.Json.Nodes;
using Mesh.Cli.Commands;

namespace Mesh.Cli.Tests;

public sealed class XdsBootstrapTests
{
    [Fact]
    [Trait("gRFC", "A29")]
    public void Bootstrap_WithCertificates_NamesProviderAndTellsTheControlPlane()
    {
        var expected = JsonNode.Parse("""
            {
              "xds_servers":[{"server_uri":"127.0.0.1:15010","channel_creds":[{"type":"insecure"}],"server_features":["xds_v3"]}],
              "node":{"id":"foreign~host1~shop","cluster":"shop","locality":{},"metadata":{"NAMESPACE":"shop","INSTANCE_IPS":"127.0.0.1,10.0.0.7","MESH_TLS":"default"}},
              "certificate_providers":{"default":{"plugin_name":"file_watcher","config":{
                "certificate_file":"/certs/tls.crt","private_key_file":"/certs/tls.key","ca_certificate_file":"/certs/ca.crt","refresh_interval":"5s"}}},
              "server_listener_resource_name_template":"grpc/server?xds.resource.listening_address=%s"
            }
            """);

        Assert.True(JsonNode.DeepEquals(expected, XdsBootstrapCommand.Build("shop", "/certs", "127.0.0.1:15010", "host1", ["127.0.0.1", "10.0.0.7"])));
    }

    [Fact]
    public async Task Bootstrap_WithoutCertificates_PromisesNoTls()
    {
        var run = await CliRun.RunAsync([], ["xds", "bootstrap", "--namespace", "shop", "--ads-server", "[::1]:7000"]);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var json = JsonNode.Parse(run.Out)!;
        Assert.Null(json["certificate_providers"]);
        Assert.Null(json["node"]!["metadata"]!["MESH_TLS"]);
        Assert.Equal("[::1]:7000", (string?)json["xds_servers"]![0]!["server_uri"]);
    }
}
