namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>A gRPC server that is not ours, in its own process, with a bootstrap file.</summary>
internal static class ForeignServer
{
    public const string GrpcJs = "grpc-js";

    /// <summary>Through Python.</summary>
    public const string Core = "C-core";

    /// <summary>Starts it; it serves once its control plane lets it.</summary>
    /// <param name="methods">What it answers; C-core answers everything.</param>
    /// <param name="rules">Without, grpc-js knows no RBAC filter, as is its default.</param>
    public static async Task<ChildProcess> StartAsync(string peer, string bootstrap, string address, string replica, string[] methods, bool rules = true)
    {
        var environment = new Dictionary<string, string> { ["GRPC_XDS_BOOTSTRAP"] = bootstrap, ["GRPC_XDS_EXPERIMENTAL_RBAC"] = rules ? "true" : "false" };
        if (peer == Core)
        {
            return ChildProcess.Start("/usr/bin/python3", [Path.Combine(AppContext.BaseDirectory, "ForeignPeers", "python", "server.py"), address, replica], environment);
        }

        await NodePeer.InstallAsync();
        return ChildProcess.Start("node", [Path.Combine(NodePeer.Folder, "server.js"), address, replica, .. methods], environment);
    }
}
