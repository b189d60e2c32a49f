using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Admission;

/// <summary>One question to a webhook over HTTPS, its certificate checked with the caBundle and nothing else.</summary>
internal static class WebhookCall
{
    public static async Task<JsonObject> AskAsync(WebhookServices services, JsonObject webhook, JsonObject review)
    {
        var timeout = (int?)webhook["timeoutSeconds"].Long() ?? 10;
        var (url, connect) = Target(services, webhook["clientConfig"]!, timeout);
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ConnectCallback = connect };
        handler.SslOptions.CertificateChainPolicy = Trust(webhook.Text("clientConfig", "caBundle"));
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(timeout) };
        using var content = new StringContent(Encoding.UTF8.GetString(review.ToBytes()), Encoding.UTF8, "application/json");
        try
        {
            using var answer = await client.PostAsync(url, content);
            var text = await answer.Content.ReadAsStringAsync();
            if (!answer.IsSuccessStatusCode)
            {
                throw new WebhookException($"failed to call webhook: an error on the server (\"{text}\") has prevented the request from succeeding");
            }

            return Response(review, JsonNode.Parse(text) as JsonObject);
        }
        catch (OperationCanceledException)
        {
            throw new WebhookException($"failed to call webhook: Post \"{url}\": context deadline exceeded");
        }
        catch (HttpRequestException failed)
        {
            throw new WebhookException($"failed to call webhook: Post \"{url}\": {failed.InnerException?.Message ?? failed.Message}");
        }
        catch (JsonException bad)
        {
            throw new WebhookException($"failed to call webhook: {bad.Message}");
        }
    }

    private static JsonObject Response(JsonObject review, JsonObject? answer)
    {
        if (answer.Text("kind") != "AdmissionReview" || answer.Text("apiVersion") != review.Text("apiVersion"))
        {
            throw new WebhookException($"received invalid webhook response: expected webhook response of {review.Text("apiVersion")}, Kind=AdmissionReview, got {answer.Text("apiVersion")}, Kind={answer.Text("kind")}");
        }

        if (answer.At("response") is not JsonObject response)
        {
            throw new WebhookException("webhook response was absent");
        }

        return response.Text("uid") == review.Text("request", "uid")
            ? response
            : throw new WebhookException($"received invalid webhook response: expected response.uid=\"{review.Text("request", "uid")}\", got \"{response.Text("uid")}\"");
    }

    private static (string Url, Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>>? Connect) Target(WebhookServices services, JsonNode config, int timeout)
    {
        if (config.Text("url") is { Length: > 0 } url)
        {
            return ($"{url}{(url.Contains('?', StringComparison.Ordinal) ? '&' : '?')}timeout={timeout}s", null);
        }

        var (ns, name, port) = (config.Text("service", "namespace"), config.Text("service", "name"), (int?)config.At("service", "port").Long() ?? 443);
        var mapped = services.Find(ns, name, port) ?? throw new WebhookException($"failed to call webhook: Post \"https://{name}.{ns}.svc:{port}\": service \"{name}\" not found");
        return ($"https://{name}.{ns}.svc:{port}{config.Text("service", "path")}?timeout={timeout}s", async (_, ct) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(mapped.Host, mapped.Port, ct);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        });
    }

    private static X509ChainPolicy Trust(string caBundle)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        if (caBundle != "")
        {
            policy.CustomTrustStore.ImportFromPem(Encoding.UTF8.GetString(Convert.FromBase64String(caBundle)));
        }

        return policy;
    }
}

/// <summary>A webhook that did not answer as one should.</summary>
internal sealed class WebhookException(string message) : Exception(message);
