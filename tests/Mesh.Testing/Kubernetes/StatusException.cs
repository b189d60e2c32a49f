using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes;

/// <summary>A refusal, as Kubernetes writes it: an object of kind Status.</summary>
internal sealed class StatusException(int code, string reason, string message, JsonObject? details = null) : Exception(message)
{
    public int Code { get; } = code;

    public string Reason { get; } = reason;

    public JsonObject? Details { get; } = details;

    /// <summary>Seconds, sent as header and in the details.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>A token to go on with, from a list whose own has expired.</summary>
    public string? Continue { get; init; }

    public static StatusException NotFound(KubeResource resource, string name) =>
        new(404, "NotFound", $"{resource.Qualified} \"{name}\" not found", Of(resource, name));

    public static StatusException AlreadyExists(KubeResource resource, string name) =>
        new(409, "AlreadyExists", $"{resource.Qualified} \"{name}\" already exists", Of(resource, name));

    public static StatusException Conflict(KubeResource resource, string name, string why) =>
        new(409, "Conflict", $"Operation cannot be fulfilled on {resource.Qualified} \"{name}\": {why}", Of(resource, name));

    public static StatusException Modified(KubeResource resource, string name) =>
        Conflict(resource, name, "the object has been modified; please apply your changes to the latest version and try again");

    public static StatusException BadRequest(string message) => new(400, "BadRequest", message);

    public static StatusException NotAllowed(string message = "the server does not allow this method on the requested resource") =>
        new(405, "MethodNotAllowed", message, []);

    public static StatusException Forbidden(KubeResource resource, string name, string why) =>
        new(403, "Forbidden", name == "" ? $"{resource.Qualified} is forbidden: {why}" : $"{resource.Qualified} \"{name}\" is forbidden: {why}", Of(resource, name));

    public static StatusException Expired(string message) => new(410, "Expired", message);

    public static StatusException Invalid(KubeResource resource, string name, IReadOnlyList<FieldError> errors)
    {
        var details = new JsonObject { ["name"] = name };
        if (resource.Group != "")
        {
            details["group"] = resource.Group;
        }

        details["kind"] = resource.Kind;
        details["causes"] = new JsonArray([.. errors.Select(error => error.ToCause())]);
        var kind = resource.Group == "" ? resource.Kind : $"{resource.Kind}.{resource.Group}";
        var text = errors.Count == 1 ? errors[0].ToString() : $"[{string.Join(", ", errors)}]";
        return new(422, "Invalid", $"{kind} \"{name}\" is invalid: {text}", details);
    }

    public JsonObject ToStatus()
    {
        var metadata = new JsonObject();
        if (Continue is not null)
        {
            metadata["continue"] = Continue;
        }

        var status = new JsonObject
        {
            ["kind"] = "Status",
            ["apiVersion"] = "v1",
            ["metadata"] = metadata,
            ["status"] = "Failure",
            ["message"] = Message,
            ["reason"] = Reason,
        };
        if (Details is not null || RetryAfter is not null)
        {
            var details = (JsonObject?)Details?.DeepClone() ?? [];
            if (RetryAfter is not null)
            {
                details["retryAfterSeconds"] = RetryAfter;
            }

            status["details"] = details;
        }

        status["code"] = Code;
        return status;
    }

    private static JsonObject Of(KubeResource resource, string name)
    {
        var details = new JsonObject();
        if (name != "")
        {
            details["name"] = name;
        }

        if (resource.Group != "")
        {
            details["group"] = resource.Group;
        }

        details["kind"] = resource.Plural;
        return details;
    }
}

/// <summary>One thing that is wrong with a field.</summary>
/// <param name="Reason">FieldValueInvalid, FieldValueRequired, …</param>
internal sealed record FieldError(string Path, string Reason, string Message)
{
    public static FieldError Required(string path, string why = "") => new(path, "FieldValueRequired", why == "" ? "Required value" : $"Required value: {why}");

    public static FieldError Invalid(string path, JsonNode? value, string why) => new(path, "FieldValueInvalid", $"Invalid value: {value?.ToJsonString() ?? "null"}: {why}");

    public static FieldError Type(string path, JsonNode? value, string why) => new(path, "FieldValueTypeInvalid", $"Invalid value: {value?.ToJsonString() ?? "null"}: {why}");

    public static FieldError NotSupported(string path, JsonNode? value, IEnumerable<string> supported) =>
        new(path, "FieldValueNotSupported", $"Unsupported value: {value?.ToJsonString() ?? "null"}: supported values: {string.Join(", ", supported)}");

    public static FieldError Forbidden(string path, string why) => new(path, "FieldValueForbidden", $"Forbidden: {why}");

    public JsonNode ToCause() => new JsonObject { ["reason"] = Reason, ["message"] = Message, ["field"] = Path };

    public override string ToString() => $"{Path}: {Message}";
}
