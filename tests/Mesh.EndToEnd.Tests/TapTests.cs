using System.Globalization;
using System.Net;
using System.Text.Json;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Requests of real workloads, seen by <c>mesh tap</c> and <c>mesh top</c> through a real control plane; and those that were refused.</summary>
public sealed class TapTests
{
    private const string Rules = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: pricing, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: pricing }]
          rules:
          - { name: cart, action: Allow, from: [{ serviceAccounts: [cart] }] }
        """;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TapAndTop_CallsOfAMesh_AreSeenOnceEach_AndRefusalsAreKept()
    {
        var (cartPort, pricingPort, vaultPort) = (RunningMesh.FreePort(), RunningMesh.FreePort(), RunningMesh.FreePort());
        await using var mesh = await RunningMesh.StartAsync(
            ("cart.yaml", RunningMesh.ServiceYaml("cart", 80, cartPort)), ("pricing.yaml", RunningMesh.ServiceYaml("pricing", 80, pricingPort)),
            ("vault.yaml", RunningMesh.ServiceYaml("vault", 80, vaultPort).Replace("name: vault, namespace: shop }", "name: vault, namespace: shop, annotations: { meshlib.io/disable-tap: \"true\" } }", StringComparison.Ordinal)),
            ("rules.yaml", Rules));
        static void Prices(WebApplication app)
        {
            app.Map("/{**path}", (HttpContext context) => context.Request.Path == "/down" ? Results.StatusCode(503) : Results.Text("1.17"));
            app.Map("/watch", async (HttpContext context) =>
            {
                await context.Response.WriteAsync("1.17", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            });
        }

        await mesh.StartServiceAsync("pricing", pricingPort, Prices);
        await mesh.StartServiceAsync("vault", vaultPort, Prices);
        var cart = await mesh.StartServiceAsync("cart", cartPort, app => app.MapGet("/", () => "cart"), b => b.Services.AddHttpClient("pricing"));
        await mesh.WaitUntilMeshedAsync("cart", "pricing", "vault");
        var client = cart.Services.GetRequiredService<IHttpClientFactory>().CreateClient("pricing");
        using var traffic = new CancellationTokenSource();
        var calling = CallAsync(client, traffic.Token);
        try
        {
            var tap = await Cli.RunAsync("tap", "--to", "pricing", "--max", "8", "--for", "25s", "--headers", "x-user,authorization", "-o", "jsonl", "--server", mesh.Http, "--token", mesh.AdminToken);
            Assert.True(tap.Exit == 0, tap.Errors);
            var seen = tap.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).ToList();
            // On a busy machine one may take so long that it is shown while it goes on, and at its end again.
            Assert.Equal(8, seen.Count(s => s.GetProperty("open").GetBoolean() || s.GetProperty("stream").ValueKind == JsonValueKind.Null));
            seen.RemoveAll(s => s.GetProperty("open").GetBoolean());
            // The caller attends: the called side does not say the same again.
            Assert.All(seen, s => Assert.Equal(("client", "cart", "pricing", "mesh", "spiffe://cluster.local/ns/shop/sa/cart"), (Text(s, "side"), Text(s, "source"), Text(s, "destination"), Text(s, "tls"), Text(s, "reporter"))));
            Assert.Contains(seen, s => Text(s, "path") == "/down" && s.GetProperty("status").GetInt32() == 503);
            Assert.All(seen, s => Assert.Equal("ann", s.GetProperty("request_headers").GetProperty("x-user").GetString()));
            Assert.DoesNotContain("geheim", tap.Output, StringComparison.Ordinal);
            Assert.Contains("Never shown", tap.Errors, StringComparison.Ordinal);

            await StreamAsync(mesh, client);
            var lines = await Cli.RunAsync("tap", "pricing", "--status", "5xx", "--max", "2", "--for", "25s", "--server", mesh.Http, "--token", mesh.AdminToken);
            Assert.True(lines.Exit == 0, lines.Errors);
            Assert.Contains("src=shop/cart dst=shop/pricing tls=true :method=GET :authority=pricing :path=/down :status=503 latency=", lines.Output, StringComparison.Ordinal);

            var top = await Cli.RunAsync("top", "cart", "--for", "4s", "-o", "json", "--server", mesh.Http, "--token", mesh.AdminToken);
            Assert.True(top.Exit == 0, top.Errors);
            var rows = JsonDocument.Parse(top.Output).RootElement.EnumerateArray().ToDictionary(r => $"{Text(r, "destination")} {Text(r, "path")}", r => r);
            Assert.Equal(0, rows["pricing /down"].GetProperty("success_rate").GetDouble());
            Assert.Equal(1, rows["pricing /prices/7"].GetProperty("success_rate").GetDouble());
            Assert.DoesNotContain(rows.Keys, k => k.StartsWith("vault", StringComparison.Ordinal));
        }
        finally
        {
            await traffic.CancelAsync();
            await calling;
        }

        await RefusalsAsync(mesh, pricingPort);
    }

    /// <summary>A stream that does not end is shown while it goes on.</summary>
    private static async Task StreamAsync(RunningMesh mesh, HttpClient client)
    {
        var tap = Cli.RunAsync("tap", "cart", "--path", "/watch", "--max", "1", "--for", "25s", "--server", mesh.Http, "--token", mesh.AdminToken);
        var streams = new List<HttpResponseMessage>();
        try
        {
            // One that began before the tap is there is not seen until it ends.
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
            for (var tick = pace.WaitForNextTickAsync(Token).AsTask(); await Task.WhenAny(tap, tick) == tick; tick = pace.WaitForNextTickAsync(Token).AsTask())
            {
                streams.Add(await client.GetAsync(new Uri("http://pricing/watch"), HttpCompletionOption.ResponseHeadersRead, Token));
            }
        }
        finally
        {
            streams.ForEach(s => s.Dispose());
        }

        var run = await tap;
        Assert.True(run.Exit == 0, run.Errors);
        Assert.Contains("src=shop/cart dst=shop/pricing tls=true :method=GET :authority=pricing :path=/watch :status=200 open=", run.Output, StringComparison.Ordinal);
    }

    /// <summary>Who has no identity is denied, and that is known with the nearest rule.</summary>
    private static async Task RefusalsAsync(RunningMesh mesh, int pricingPort)
    {
        using var stranger = new HttpClient();
        for (var i = 0; i < 5; i++)
        {
            using var denied = await stranger.GetAsync(new Uri($"http://127.0.0.1:{pricingPort}/prices/9"), Token);
            Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
        }

        JsonElement[] items = [];
        await Eventually.Async(
            async () =>
            {
                items = [.. JsonDocument.Parse(await mesh.Api.GetStringAsync(new Uri("/api/v1/denials?window=600", UriKind.Relative), Token)).RootElement.GetProperty("items").EnumerateArray()];
                return items.Sum(i => i.GetProperty("count").GetInt64()) >= 5;
            },
            "all refusals are reported",
            TimeSpan.FromSeconds(30));
        Assert.Equal(5, items.Sum(i => i.GetProperty("count").GetInt64()));
        Assert.All(items, i => Assert.Equal(("pricing", "shop", "127.0.0.1", "GET", "/prices/9", ""), (Text(i, "workload"), Text(i, "namespace"), Text(i, "caller"), Text(i, "method"), Text(i, "path"), Text(i, "rule"))));
        Assert.Contains("cart", Text(items[0], "nearest"), StringComparison.Ordinal);
    }

    private static async Task CallAsync(HttpClient client, CancellationToken cancellationToken)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        for (var i = 0; !cancellationToken.IsCancellationRequested; i++)
        {
            try
            {
                foreach (var uri in (string[])["http://pricing/prices/7?token=geheim", "http://pricing/down", "http://vault/keys"])
                {
                    using var request = new HttpRequestMessage(HttpMethod.Get, uri) { Headers = { { "x-user", "ann" }, { "x-count", i.ToString(CultureInfo.InvariantCulture) }, { "authorization", "Bearer geheim" } } };
                    using var response = await client.SendAsync(request, cancellationToken);
                }

                await pace.WaitForNextTickAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private static string Text(JsonElement of, string name) => of.GetProperty(name).GetString() ?? string.Empty;
}
