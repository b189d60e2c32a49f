namespace Shop;

/// <summary>Something the shop cannot go on with; the message is what the user reads.</summary>
internal sealed class ShopException(string message, Exception? inner = null) : Exception(message, inner);
