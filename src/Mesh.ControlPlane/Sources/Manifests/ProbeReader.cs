using System.Globalization;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads the probes of a container that come as requests: <c>httpGet</c> and <c>grpc</c>.</summary>
internal static class ProbeReader
{
    private const string HealthCheck = "/grpc.health.v1.Health/Check";

    /// <param name="ports">Of the Pod's containers: probes may name one.</param>
    public static IEnumerable<Probe> Read(YamlMap container, IEnumerable<ContainerPortManifest> ports)
    {
        foreach (var field in (string[])["livenessProbe", "readinessProbe", "startupProbe"])
        {
            if (container.Map(field) is not { } probe)
            {
                continue;
            }

            // One over the app's own TLS does not come through the mesh.
            if (probe.Map("httpGet") is { } http && http.Word("scheme", "HTTP", "HTTP", "HTTPS") == "HTTP" && PortOf(http, ports) is { } port)
            {
                yield return new Probe(port, PathOf(http.Text("path")), Grpc: false);
            }

            if (probe.Map("grpc") is { } grpc && grpc.Integer("port", 1, 65535, required: true) is { } grpcPort)
            {
                yield return new Probe(grpcPort, HealthCheck, Grpc: true);
            }
        }
    }

    private static string PathOf(string? path)
    {
        path = path is { Length: > 0 } ? path.Split('?', 2)[0] : "/";
        return path.StartsWith('/') ? path : "/" + path;
    }

    private static int? PortOf(YamlMap http, IEnumerable<ContainerPortManifest> ports)
    {
        if (http.Find("port") is not { Value: { } text } scalar)
        {
            http.Missing("port", "Add the number or the name of the container port that is asked.");
            return null;
        }

        if (scalar.Plain is not null && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            if (number is >= 1 and <= 65535)
            {
                return number;
            }

            http.Bad("port", text, "Use a number from 1 to 65535.");
            return null;
        }

        if (ports.FirstOrDefault(p => p.Name == text) is { } named)
        {
            return named.Port;
        }

        http.Problems.Note(scalar, $"{http.Field("port")} is '{text}', which no container port is named: the probe is not known to the mesh and may be refused. Name the port, or give its number.");
        return null;
    }
}
