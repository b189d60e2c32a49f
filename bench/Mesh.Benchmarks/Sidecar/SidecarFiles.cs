using System.Security.Cryptography.X509Certificates;
using Mesh.Testing;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>Certificates and configurations of a run, readable by the proxies' user.</summary>
internal sealed class SidecarFiles
{
    /// <summary>What the proxies that know no SPIFFE check.</summary>
    public const string ServerName = "server.bench.svc.cluster.local";

    private readonly string _folder;

    public SidecarFiles(string folder)
    {
        _folder = folder;
        Open(folder, 0b111_101_101);
        var ca = new TestCa("cluster.local");
        foreach (var name in (string[])["client", "server"])
        {
            var leaf = ca.Server(ServerName, TimeSpan.FromDays(1));
            var (certificate, key) = (leaf.ExportCertificatePem(), leaf.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
            Write(name + ".crt", certificate + "\n");
            Write(name + ".key", key + "\n");
            Write(name + ".pem", certificate + "\n" + key + "\n");
        }

        Root = Write("root.crt", ca.Root.ExportCertificatePem() + "\n");
        GrpcRequest = Path.Combine(folder, "grpc-request");
        File.WriteAllBytes(GrpcRequest, BenchLoad.GrpcMessage());
        Open(GrpcRequest, 0b110_100_100);
    }

    public string Client => Path.Combine(_folder, "client");

    public string Server => Path.Combine(_folder, "server");

    public string Root { get; }

    public string GrpcRequest { get; }

    public string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        Open(path, 0b110_100_100);
        return path;
    }

    public string Folder(string name)
    {
        var path = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        Open(path, 0b111_111_111);
        return path;
    }

    // The keys live as long as the run and open nothing but its own proxies.
#pragma warning disable CA1416 // Namespaces are Linux's: Lab.Lacks has said no on other systems.
    private static void Open(string path, int mode) => File.SetUnixFileMode(path, (UnixFileMode)mode);
#pragma warning restore CA1416
}
