"""Code suggestions: CodeWhisperer's operation, answered by a model of the administrator's own.

Off until `suggestions_url` names a server that speaks OpenAI's API (llama.cpp, vLLM, Ollama, a hosted one).
"""
