using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace Mesh.Transparent.Tests.Admin;

public sealed class AdminServerTests
{
    [Fact]
    public async Task Probes_SayWhetherItLivesAndWhatIsMissing()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        Assert.Equal((HttpStatusCode.OK, "live\n"), await sidecar.TextAsync(HttpMethod.Get, "/live"));
        Assert.Equal((HttpStatusCode.OK, "ready\n"), await sidecar.TextAsync(HttpMethod.Get, "/ready"));

        sidecar.Missing.Add("no certificate yet");
        sidecar.Missing.Add("no policy of port 8080 yet");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "not ready:\n- no certificate yet\n- no policy of port 8080 yet\n"), await sidecar.TextAsync(HttpMethod.Get, "/ready"));
        Assert.Equal(HttpStatusCode.OK, (await sidecar.TextAsync(HttpMethod.Get, "/live")).Status);
    }

    [Fact]
    public async Task Probes_AskedByName_AreAnswered()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        Assert.Equal(HttpStatusCode.OK, (await sidecar.TextAsync(HttpMethod.Get, "/ready", r => r.Headers.Host = "web-1.shop")).Status);
    }

    [Fact]
    public async Task Metrics_AreGzippedOnlyForWhoTakesIt()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        sidecar.Aggregate.Get(MeshTags.ServerCallDuration, new KeyValuePair<string, string>(MeshTags.Outcome, "success")).Durations.Record(TimeSpan.FromSeconds(1));

        var (plain, text) = await sidecar.SendAsync(HttpMethod.Get, "/metrics", r => r.Headers.AcceptEncoding.ParseAdd("gzip;q=0, br"));
        Assert.Empty(plain.Content.Headers.ContentEncoding);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", plain.Content.Headers.ContentType?.ToString());
        var (zipped, bytes) = await sidecar.SendAsync(HttpMethod.Get, "/metrics", r => r.Headers.AcceptEncoding.ParseAdd("br, gzip;q=0.5"));
        Assert.Equal(["gzip"], zipped.Content.Headers.ContentEncoding);
        using var unzipped = new StreamReader(new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress));
        foreach (var metrics in new[] { Encoding.UTF8.GetString(text), await unzipped.ReadToEndAsync(TestContext.Current.CancellationToken) })
        {
            Assert.Contains("mesh_server_call_duration_seconds_count{mesh_outcome=\"success\"} 1\n", metrics, StringComparison.Ordinal);
            Assert.Contains("\nmesh_proxy_ready 1\n", metrics, StringComparison.Ordinal);
            Assert.Contains("\nmesh_identity_certificate_expiration_seconds ", metrics, StringComparison.Ordinal);
        }

        plain.Dispose();
        zipped.Dispose();
    }

    [Fact]
    public async Task Metrics_UnderPromtool_AreFlawless()
    {
        var promtool = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Select(d => Path.Combine(d, "promtool")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(promtool is null, "Debian's prometheus is not installed.");
        await using var sidecar = await FakeSidecar.StartAsync();
        foreach (var name in new[] { MeshTags.ServerCallDuration, MeshTags.ClientCallDuration, MeshTags.ClientAttemptDuration })
        {
            sidecar.Aggregate.Get(name, new KeyValuePair<string, string>(MeshTags.Destination, "a\"b\\c\nd")).Durations.Record(TimeSpan.FromSeconds(1));
        }

        var (_, text) = await sidecar.TextAsync(HttpMethod.Get, "/metrics");
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(promtool!, "check metrics") { RedirectStandardInput = true, RedirectStandardError = true, RedirectStandardOutput = true })!;
        try
        {
            var (said, complained) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
            await process.StandardInput.WriteAsync(text);
            process.StandardInput.Close();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
            Assert.Equal((0, string.Empty, string.Empty), (process.ExitCode, await said, await complained));
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    [Theory]
    [InlineData("/live")]
    [InlineData("/ready")]
    [InlineData("/metrics")]
    [InlineData("/config_dump")]
    [InlineData("/log-level")]
    public async Task Head_IsAnsweredAsGetWithoutABody(string path)
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        var (answer, body) = await sidecar.SendAsync(HttpMethod.Head, path);
        using (answer)
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Empty(body);
        }
    }

    [Theory]
    [InlineData("GET", "/", HttpStatusCode.NotFound)]
    [InlineData("GET", "/live/", HttpStatusCode.NotFound)]
    [InlineData("GET", "/LIVE", HttpStatusCode.NotFound)]
    [InlineData("POST", "/live", HttpStatusCode.MethodNotAllowed)]
    [InlineData("DELETE", "/log-level", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", "/drain", HttpStatusCode.MethodNotAllowed)]
    [InlineData("PUT", "/config_dump", HttpStatusCode.MethodNotAllowed)]
    public async Task Anything_Else_IsRefused(string method, string path, HttpStatusCode expected)
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        Assert.Equal(expected, (await sidecar.TextAsync(new HttpMethod(method), path)).Status);
        Assert.Equal(0, sidecar.Drains);
    }

    [Fact]
    public async Task Drain_Posted_Begins()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        Assert.Equal((HttpStatusCode.Accepted, "draining\n"), await sidecar.TextAsync(HttpMethod.Post, "/drain", r => r.Content = new StringContent("ignored")));
        Assert.Equal(1, sidecar.Drains);
    }

    [Fact]
    public async Task LogLevel_Put_IsInForceAndNonsenseChangesNothing()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        Assert.Equal((HttpStatusCode.OK, "warning,Mesh=information\n"), await sidecar.TextAsync(HttpMethod.Get, "/log-level"));
        Assert.Equal((HttpStatusCode.OK, "error,Mesh.Xds=debug\n"), await sidecar.TextAsync(HttpMethod.Put, "/log-level", r => r.Content = new StringContent("error,Mesh.Xds=debug\n")));

        foreach (var nonsense in new[] { "", "loud", "warning,error", "Mesh Xds=debug", "=debug", "3", new string(',', 10_000) })
        {
            var (status, text) = await sidecar.TextAsync(HttpMethod.Put, "/log-level", r => r.Content = new StringContent(nonsense));
            Assert.Equal(HttpStatusCode.BadRequest, status);
            Assert.Matches("(Use|Keep) .+\\.\n$", text);
        }

        Assert.Equal((HttpStatusCode.OK, "error,Mesh.Xds=debug\n"), await sidecar.TextAsync(HttpMethod.Get, "/log-level"));
    }

    [Fact]
    public async Task Body_TooLarge_IsRefused()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        var large = new string('a', 100_000);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await sidecar.TextAsync(HttpMethod.Put, "/log-level", r => r.Content = new StringContent(large))).Status);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await sidecar.TextAsync(HttpMethod.Put, "/log-level", r =>
        {
            r.Content = new StringContent(large);
            r.Headers.TransferEncodingChunked = true;
        })).Status);
        Assert.Equal("warning,Mesh=information", sidecar.Levels.Current.ToString());
    }

    [Fact]
    public async Task ConfigDump_SaysWhatIsInForce()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        var (status, text) = await sidecar.TextAsync(HttpMethod.Get, "/config_dump");
        Assert.Equal(HttpStatusCode.OK, status);

        var dump = JsonDocument.Parse(text).RootElement;
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/storefront", dump.GetProperty("identity").GetProperty("spiffe_id").GetString());
        Assert.Equal(sidecar.Identity.Svid.Leaf.SerialNumber, dump.GetProperty("identity").GetProperty("serial").GetString());
        Assert.Equal(sidecar.Identity.Svid.NotAfter, dump.GetProperty("identity").GetProperty("not_after").GetDateTimeOffset());
        Assert.Equal("https://127.0.0.1:15012", dump.GetProperty("options").GetProperty("control_plane").GetString());
        Assert.Equal("25,587,3306,4444,5432,6379,9300,11211", dump.GetProperty("options").GetProperty("opaque_ports").GetString());

        var listeners = dump.GetProperty("listeners").EnumerateArray().ToDictionary(l => l.GetProperty("name").GetString()!);
        Assert.Equal("no such service", listeners["nobody:80"].GetProperty("reason").GetString());
        var target = listeners["catalog.shop:80"].GetProperty("routes")[0].GetProperty("clusters")[0];
        Assert.Equal((FakeSidecar.Cluster, 3), (target.GetProperty("name").GetString(), target.GetProperty("weight").GetInt32()));

        var endpoints = dump.GetProperty("clusters")[0].GetProperty("endpoints");
        Assert.Equal([("10.0.0.1:80", "usable", "mesh"), ("10.0.0.2:80", "unhealthy", "none")], endpoints.EnumerateArray()
            .Select(e => (e.GetProperty("address").GetString()!, e.GetProperty("state").GetString()!, e.GetProperty("tls").GetString()!)));

        var inbound = Assert.Single(dump.GetProperty("inbound").EnumerateArray());
        Assert.Equal(("10.9.9.9:8080", true, false), (inbound.GetProperty("address").GetString(), inbound.GetProperty("mesh_tls").GetBoolean(), inbound.GetProperty("plaintext").GetBoolean()));
        Assert.Equal("mesh-tls", Assert.Single(inbound.GetProperty("filter_chains").EnumerateArray()).GetProperty("name").GetString());
    }

    [Fact]
    public async Task ConfigDump_HoldsNoSecret()
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        var (_, text) = await sidecar.TextAsync(HttpMethod.Get, "/config_dump");

        Assert.DoesNotContain(FakeSidecar.Secret, text, StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE", text, StringComparison.OrdinalIgnoreCase);
        using var key = sidecar.Identity.Svid.Leaf.GetECDsaPrivateKey()!;
        var secret = key.ExportParameters(includePrivateParameters: true).D!;
        Assert.DoesNotContain(Convert.ToBase64String(secret)[..20], text, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToHexString(secret), text, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1", null, 200)]
    [InlineData("127.8.8.8", "127.0.0.1:4191", null, 200)]
    [InlineData("::ffff:127.0.0.1", "localhost", null, 200)]
    [InlineData("::1", "[::1]:4191", null, 200)]
    [InlineData("127.0.0.1", "evil.example", null, 403)]
    [InlineData("127.0.0.1", "127.0.0.1.evil.example", null, 403)]
    [InlineData("127.0.0.1", "localhost.evil.example:4191", null, 403)]
    [InlineData("127.0.0.1", "", null, 403)]
    [InlineData("127.0.0.1", "127.0.0.1", "https://evil.example", 403)]
    [InlineData("127.0.0.1", "127.0.0.1", "null", 403)]
    [InlineData("10.0.0.7", "127.0.0.1", null, 403)]
    [InlineData("::ffff:10.0.0.7", "localhost", null, 403)]
    [InlineData("fe80::1", "localhost", null, 403)]
    [InlineData(null, "localhost", null, 403)]
    public async Task Private_IsAnsweredToThisMachineAlone(string? from, string host, string? origin, int expected)
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        foreach (var (method, path) in new[] { ("GET", "/config_dump"), ("GET", "/log-level"), ("PUT", "/log-level"), ("POST", "/drain") })
        {
            var context = Context(from, method, path);
            context.Request.Headers.Host = host;
            context.Request.Body = new MemoryStream("error"u8.ToArray());
            if (origin is not null)
            {
                context.Request.Headers.Origin = origin;
            }

            // Whoever believes these would be lied to.
            context.Request.Headers["x-forwarded-for"] = "127.0.0.1";
            context.Request.Headers["x-real-ip"] = "127.0.0.1";
            await ((IHttpApplication<HttpContext>)sidecar.Server).ProcessRequestAsync(context);
            Assert.Equal(expected == 200 && path == "/drain" ? 202 : expected, context.Response.StatusCode);
        }

        Assert.Equal(expected == 200 ? 1 : 0, sidecar.Drains);
        Assert.Equal(expected == 200 ? "error" : "warning,Mesh=information", sidecar.Levels.Current.ToString());
    }

    [Theory]
    [InlineData("/live")]
    [InlineData("/ready")]
    [InlineData("/metrics")]
    public async Task Public_IsAnsweredToOthersToo(string path)
    {
        await using var sidecar = await FakeSidecar.StartAsync();
        var context = Context("10.0.0.7", "GET", path);
        context.Request.Headers.Host = "web-1.shop";
        await ((IHttpApplication<HttpContext>)sidecar.Server).ProcessRequestAsync(context);
        Assert.Equal(200, context.Response.StatusCode);
    }

    [Fact]
    public async Task Private_OfAnAddressOfThisMachineThatIsNotLoopback_IsRefusedOverASocketToo()
    {
        var own = Dns.GetHostAddresses(string.Empty).Concat(Interfaces()).FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a));
        Assert.SkipWhen(own is null, "This machine has loopback alone.");
        await using var sidecar = await FakeSidecar.StartAsync(IPAddress.Any);
        var (answer, _) = await sidecar.SendAsync(HttpMethod.Get, "/config_dump", to: own);
        using (answer)
        {
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        }

        var (live, _) = await sidecar.SendAsync(HttpMethod.Get, "/live", to: own);
        using (live)
        {
            Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        }

        static IEnumerable<IPAddress> Interfaces() => Mesh.Hosting.LocalNode.FindIps().Select(IPAddress.Parse);
    }

    [Fact]
    public async Task Stop_EndsAndFreesThePort()
    {
        var sidecar = await FakeSidecar.StartAsync();
        var at = sidecar.Server.EndPoints[0];
        await sidecar.Server.StopAsync(TestContext.Current.CancellationToken);
        await sidecar.DisposeAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await Assert.ThrowsAsync<SocketException>(async () => await socket.ConnectAsync(at, TestContext.Current.CancellationToken));
    }

    private static DefaultHttpContext Context(string? from, string method, string path)
    {
        var context = new DefaultHttpContext();
        context.Features.Set<IHttpConnectionFeature>(new HttpConnectionFeature { RemoteIpAddress = from is null ? null : IPAddress.Parse(from) });
        context.Request.Method = method;
        context.Request.Path = path;
        return context;
    }
}
