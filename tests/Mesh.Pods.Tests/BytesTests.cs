using System.Net;
using System.Text;
using System.Text.Json;
using Mesh.Testing;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>Protocols that are none of the mesh's business: databases, mail, TLS of the app's own.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class BytesTests(SharedPods pods)
{
    private static readonly string[] _quiet = ["--save", "", "--appendonly", "no", "--protected-mode", "no"];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Redis_OnItsPort_AnswersItsOwnClient(bool ipV6)
    {
        await using var server = pods.Mesh["store"].Start("redis-server", ["--port", $"{SharedPods.Redis}", "--bind", "*", "-::*", "--dir", "/tmp", .. _quiet]);
        await server.OutputAsync("Ready to accept connections", PodMesh.StartLimit);
        string[] cli = ["-h", SharedPods.Address("store", ipV6).Trim('[', ']'), "-p", $"{SharedPods.Redis}"];

        Assert.Equal("OK", (await pods.Mesh["web"].RunAsync("redis-cli", [.. cli, "set", "key", "a value"])).Trim());
        Assert.Equal("a value", (await pods.Mesh["web"].RunAsync("redis-cli", [.. cli, "get", "key"])).Trim());

        // What the server sees is its own sidecar, over lo: the connection did not come from the other pod's app.
        var clients = await pods.Mesh["web"].RunAsync("redis-cli", [.. cli, "client", "list"]);
        Assert.DoesNotContain($"addr={pods.Mesh["web"].IpV4}:", clients, StringComparison.Ordinal);
        Assert.Contains("cmd=client", clients, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PostgreSql_OnItsPort_AnswersItsOwnClient()
    {
        var store = pods.Mesh["store"].Namespace;
        var user = uint.Parse((await store.RunAsync(null, "id", ["-u", "postgres"])).Output, System.Globalization.CultureInfo.InvariantCulture);
        var programs = Directory.GetDirectories("/usr/lib/postgresql").Order(StringComparer.Ordinal).Last() + "/bin";
        var folder = pods.Mesh.Scratch("postgres");
        Assert.Equal(0, (await store.RunAsync(null, "install", ["-d", "-o", "postgres", "-m", "700", folder])).ExitCode);
        var made = await store.RunAsync(user, $"{programs}/initdb", ["-D", folder, "-U", "app", "--auth=trust", "--no-sync", "--locale=C"]);
        Assert.True(made.ExitCode == 0, made.Errors);
        var rules = Path.Combine(folder, "pg_hba.conf");
        await File.AppendAllTextAsync(rules, "host all all all trust\n", TestContext.Current.CancellationToken);
        await using var server = store.Start(
            user, $"{programs}/postgres", ["-D", folder, "-p", $"{SharedPods.Postgres}", "-c", "listen_addresses=*", "-c", $"unix_socket_directories={folder}", "-c", "fsync=off"]);
        await Eventually.Async(() => server.Errors.Contains("ready to accept connections", StringComparison.Ordinal), "PostgreSQL serves", PodMesh.StartLimit);

        // psql asks for TLS first, in PostgreSQL's own way; the server has none, and says so.
        var answer = await pods.Mesh["web"].RunAsync(
            "psql", "-h", SharedPods.Address("store", false), "-p", $"{SharedPods.Postgres}", "-U", "app", "-d", "postgres", "-At",
            "-c", "create table t(n int); insert into t select generate_series(1, 1000); select count(*), sum(n) from t; drop table t");

        Assert.Contains("1000|500500", answer, StringComparison.Ordinal);

        // SIGINT, a fast shutdown: its shared memory goes with it.
        server.Signal(2);
        await server.ExitAsync(TimeSpan.FromSeconds(20));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ServerThatSpeaksFirst_OnAnUndeclaredPort_IsHeard(bool ipV6)
    {
        var output = await pods.Mesh["web"].RunAsync(Programs.Python, Programs.App("client.py"), "smtp", SharedPods.Address("store", ipV6).Trim('[', ']'), $"{SharedPods.Smtp}");

        using var result = JsonDocument.Parse(output);
        Assert.Equal(["220 store ready", "250 EHLO me", "221 bye"], result.RootElement.GetProperty("said").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal("", result.RootElement.GetProperty("end").GetString());
    }

    [Fact]
    public async Task AppsOwnTls_PassesThrough_ToCurl()
    {
        var output = await pods.Mesh["web"].RunAsync(
            "curl", "-sS", "--max-time", "20", "--cacert", pods.Mesh.Scratch("own.crt"), "--connect-to", $"::{SharedPods.Address("store", false)}:{SharedPods.Tls}", "https://own.example/over-tls");

        using var seen = JsonDocument.Parse(output);
        Assert.Equal("GET /over-tls HTTP/1.1", seen.RootElement.GetProperty("line").GetString());

        // Encrypted end to end: no sidecar can have written into it.
        Assert.False(seen.RootElement.GetProperty("headers").TryGetProperty("mesh-client-id", out _));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AppsOwnTls_ShowsItsOwnCertificate_ToOpenssl(bool ipV6)
    {
        var output = await pods.Mesh["web"].RunAsync(
            "timeout", "20", "openssl", "s_client", "-connect", $"{SharedPods.Address("store", ipV6)}:{SharedPods.Tls}", "-servername", "own.example",
            "-CAfile", pods.Mesh.Scratch("own.crt"), "-verify_return_error");

        Assert.Contains("subject=CN = own.example", output, StringComparison.Ordinal);
        Assert.Contains("Verify return code: 0 (ok)", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HalfClose_TheAnswerStillArrives()
    {
        using var socket = await pods.Mesh["web"].ConnectAsync(IPAddress.Parse(SharedPods.Address("store", false)), SharedPods.Smtp, cancel: TestContext.Current.CancellationToken);
        await socket.SendAsync(Encoding.ASCII.GetBytes("EHLO half\r\n"), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(new System.Net.Sockets.NetworkStream(socket), Encoding.ASCII);
        socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);

        var all = await reader.ReadToEndAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

        Assert.Equal("220 store ready\r\n250 EHLO half\r\n", all);
    }
}
