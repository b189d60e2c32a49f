using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes;

/// <summary>Bodies in and out.</summary>
internal static class Answer
{
    public static async Task SendAsync(ApiRequest request, int status, JsonObject json)
    {
        foreach (var warning in request.Warnings)
        {
            request.Http.Response.Headers.Append("Warning", $"299 - \"{warning.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"");
        }

        await SendAsync(request.Http, status, json);
    }

    public static async Task SendAsync(HttpContext http, int status, JsonObject json)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        var bytes = json.ToBytes();
        http.Response.ContentLength = bytes.Length + 1;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.Body.WriteAsync((byte[])[.. bytes, (byte)'\n'], http.RequestAborted);
        }
    }

    public static async Task RefuseAsync(HttpContext http, StatusException refused)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        if (refused.RetryAfter is { } seconds)
        {
            http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        await SendAsync(http, refused.Code, refused.ToStatus());
    }

    /// <summary>A path that the server does not serve: an object where the group is built in, plain text elsewhere.</summary>
    public static async Task NoPathAsync(HttpContext http, ResourceTable resources, ApiRequest request)
    {
        if (resources.All.Any(r => !r.IsCustom && r.Group == request.Group && r.Versions.Contains(request.Version)))
        {
            throw new StatusException(404, "NotFound", "the server could not find the requested resource", []);
        }

        await NoPageAsync(http);
    }

    public static async Task NoPageAsync(HttpContext http)
    {
        http.Response.StatusCode = 404;
        http.Response.ContentType = "text/plain; charset=utf-8";
        await http.Response.WriteAsync("404 page not found\n");
    }

    public static async Task<string> RawBodyAsync(ApiRequest request)
    {
        using var reader = new StreamReader(request.Http.Request.Body, Encoding.UTF8);
        return await reader.ReadToEndAsync(request.Http.RequestAborted);
    }

    public static async Task<JsonObject> BodyAsync(ApiRequest request)
    {
        var type = ContentType(request.Http);
        var text = await RawBodyAsync(request);
        return type switch
        {
            "" or "application/json" => JsonNode.Parse(text) as JsonObject,
            "application/yaml" => KubeYaml.Documents(text).FirstOrDefault(),
            _ => throw new StatusException(415, "UnsupportedMediaType", $"the body of the request was in an unknown format - accepted media types include: application/json, application/yaml"),
        } ?? throw StatusException.BadRequest("Object 'Kind' is missing in '" + text + "'");
    }

    public static async Task<JsonObject?> DeleteOptionsAsync(ApiRequest request)
    {
        var text = await RawBodyAsync(request);
        var options = text == "" ? [] : JsonNode.Parse(text)!.AsObject();
        if (request["propagationPolicy"] is { Length: > 0 } policy)
        {
            options["propagationPolicy"] = policy;
        }

        if (request["gracePeriodSeconds"] != "")
        {
            options["gracePeriodSeconds"] = request.Number("gracePeriodSeconds");
        }

        return options;
    }

    public static string ContentType(HttpContext http) => http.Request.ContentType?.Split(';')[0].Trim() ?? "";
}
